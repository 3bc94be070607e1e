package store

import (
	"cmp"
	"slices"

	"snatlab/harness/result"
	"snatlab/harness/stats"
)

// History returns the series of the runs in the store: of the scenario with that
// name, or of all scenarios if it is empty.
func (s *Store) History(scenario string) (*result.History, error) {
	runs, warnings, err := s.ListRuns()
	if err != nil {
		return nil, err
	}
	h := &result.History{Schema: result.HistorySchema, Store: s.dir, Series: []result.Series{}, Warnings: append([]string{}, warnings...)}
	for _, runs := range groupBySeries(runs) {
		if key := runs[0].Key; scenario == "" || scenario == key.Scenario {
			h.Series = append(h.Series, result.Series{ID: runs[0].SeriesID(), Key: key, ByHand: runs[0].IsByHand(), Kernels: summariseKernels(runs), Runs: runs})
		}
	}
	slices.SortStableFunc(h.Series, func(a, b result.Series) int { return cmp.Compare(a.Key.Scenario, b.Key.Scenario) })
	return h, nil
}

// groupBySeries groups runs by their series, in the order in which the series appear.
func groupBySeries(runs []result.RunSummary) [][]result.RunSummary {
	type series struct {
		result.Key
		byHand bool
	}
	return groupBy(runs, func(r result.RunSummary) series { return series{r.Key, r.IsByHand()} })
}

func groupByKernel(runs []result.RunSummary) [][]result.RunSummary {
	return groupBy(runs, func(r result.RunSummary) string { return r.Kernel })
}

func groupBy[K comparable](runs []result.RunSummary, by func(result.RunSummary) K) (groups [][]result.RunSummary) {
	index := map[K]int{} // of a group
	for _, r := range runs {
		i, ok := index[by(r)]
		if !ok {
			i = len(groups)
			index[by(r)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// summariseKernels sums the runs of a series up, kernel by kernel.
func summariseKernels(runs []result.RunSummary) (all []result.KernelRuns) {
	names := ArmNames(runs)
	for _, runs := range groupByKernel(runs) {
		k := result.KernelRuns{
			Kernel: runs[0].Kernel, First: runs[0].Started, Last: runs[len(runs)-1].Started,
			Runs: len(runs), Verdicts: map[result.Verdict]int{},
		}
		complete := DropIncomplete(runs)
		k.Incomplete = len(runs) - len(complete)
		for _, r := range complete {
			k.Verdicts[r.Verdict]++
		}
		for _, name := range names {
			k.Arms = append(k.Arms, SumArm(name, complete))
		}
		all = append(all, k)
	}
	return all
}

// DropIncomplete leaves out the runs that ended early.
func DropIncomplete(runs []result.RunSummary) []result.RunSummary {
	return slices.DeleteFunc(slices.Clone(runs), func(r result.RunSummary) bool { return r.Incomplete != "" })
}

// ArmNames lists the arms. All runs of a scenario have the same arms, except results
// that were written by hand.
func ArmNames(runs []result.RunSummary) (names []string) {
	for _, r := range runs {
		for _, a := range r.Arms {
			if !slices.Contains(names, a.Name) {
				names = append(names, a.Name)
			}
		}
	}
	return names
}

// SumArm sums up the figures of an arm over runs.
func SumArm(name string, runs []result.RunSummary) result.ArmRuns {
	arm := result.ArmRuns{Name: name, Verdicts: map[result.ArmVerdict]int{}}
	for _, r := range runs {
		if a, ok := r.Arm(name); ok {
			arm.Requests += a.Requests
			arm.Failed += a.Failed
			if a.Verdict != "" {
				arm.Verdicts[a.Verdict]++
			}
		}
	}
	arm.FailureRate = result.Spread(stats.Summarise(MedianRates(name, runs), result.Confidence))
	if kept := DropShareless(name, runs); len(kept) > 0 {
		arm.Units = result.UnitTrial
		if len(GroupNights(kept)) >= LeastNights {
			arm.Units = result.UnitNight
		}
		arm.Remaining = PoolShares(name, kept, arm.Units)
	}
	return arm
}

// MedianRates returns the median failure rate of an arm in each run.
func MedianRates(name string, runs []result.RunSummary) (all []float64) {
	for _, r := range runs {
		if a, ok := r.Arm(name); ok {
			all = append(all, a.FailureRate.Median)
		}
	}
	return all
}
