package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// Tell says what the store shows over time: of all scenarios, or of the one with
// that name.
func (s *Store) Tell(scenario string) (*result.History, error) {
	runs, warnings, err := s.Runs()
	if err != nil {
		return nil, err
	}
	h := &result.History{Schema: result.HistorySchema, Store: s.dir, Series: []result.Series{}, Warnings: append([]string{}, warnings...)}
	for _, runs := range bySeries(runs) {
		if key := runs[0].Key; scenario == "" || scenario == key.Scenario {
			h.Series = append(h.Series, result.Series{ID: SeriesID(key), Key: key, Kernels: kernels(runs), Runs: runs})
		}
	}
	slices.SortStableFunc(h.Series, func(a, b result.Series) int { return cmp.Compare(a.Key.Scenario, b.Key.Scenario) })
	return h, nil
}

// SeriesID names a key by 8 hexadecimal digits.
func SeriesID(k Key) string {
	text, _ := json.Marshal(k) // strings, numbers and booleans
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// bySeries groups runs by their key, in the order in which those appear.
func bySeries(runs []Run) [][]Run { return group(runs, func(r Run) Key { return r.Key }) }

func byKernel(runs []Run) [][]Run { return group(runs, func(r Run) string { return r.Kernel }) }

func group[K comparable](runs []Run, by func(Run) K) (groups [][]Run) {
	place := map[K]int{}
	for _, r := range runs {
		i, ok := place[by(r)]
		if !ok {
			i = len(groups)
			place[by(r)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

func kernels(runs []Run) (all []result.KernelRuns) {
	names := armNames(runs)
	for _, runs := range byKernel(runs) {
		k := result.KernelRuns{
			Kernel: runs[0].Kernel, First: runs[0].Started, Last: runs[len(runs)-1].Started,
			Runs: len(runs), Verdicts: map[result.Verdict]int{},
		}
		complete := whole(runs)
		k.Incomplete = len(runs) - len(complete)
		for _, r := range complete {
			k.Verdicts[r.Verdict]++
		}
		for _, name := range names {
			k.Arms = append(k.Arms, armRuns(name, complete))
		}
		all = append(all, k)
	}
	return all
}

// whole leaves out the runs that ended early.
func whole(runs []Run) []Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return r.Incomplete != "" })
}

// armNames lists the arms. All runs of a scenario have the same ones, but for
// results that somebody wrote by hand.
func armNames(runs []Run) (names []string) {
	for _, r := range runs {
		for _, a := range r.Arms {
			if !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// armRuns sums an arm up.
func armRuns(name string, runs []Run) result.ArmRuns {
	arm := result.ArmRuns{Name: name, Verdicts: map[result.ArmVerdict]int{}}
	for _, r := range runs {
		if a, ok := armOf(r, name); ok {
			arm.Requests += a.Requests
			arm.Failed += a.Failed
			if a.Verdict != "" {
				arm.Verdicts[a.Verdict]++
			}
		}
	}
	arm.FailureRate = result.Spread(stats.Summarise(medians(name, runs), result.Confidence))
	return arm
}

// medians are the median failure rates of an arm, one a run.
func medians(name string, runs []Run) (all []float64) {
	for _, r := range runs {
		if a, ok := armOf(r, name); ok {
			all = append(all, a.FailureRate.Median)
		}
	}
	return all
}
