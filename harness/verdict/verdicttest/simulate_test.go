package verdicttest

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/stats"
	"snatlab/harness/verdict"
)

var (
	simulatedRuns = flag.Int("simulate.runs", 0, "simulate so many runs a case, and print their tables; 0: a few, without a table")
	simulatedSeed = flag.Uint64("simulate.seed", 1, "the seed of the simulation")
)

// briefRuns is the number of runs of a case where no table is asked for.
const briefRuns = 60

// tally counts the verdicts of the second arm of simulated runs.
type tally struct {
	runs     int
	verdicts map[result.ArmVerdict]int
	small    int // p below Alpha, after Holm's adjustment
	covered  int // the decisive interval holds the truth
	narrow   int // the printed one does
	enough   int // the control of every arm has its hits
	broken   int // the instrument check fails
	divided  int // the share was divided by that of the instrument
	rounds   []int

	ofEnough map[result.ArmVerdict]int // of the runs that have their hits
}

func newTally() *tally {
	return &tally{verdicts: map[result.ArmVerdict]int{}, ofEnough: map[result.ArmVerdict]int{}}
}

// add counts a run that was judged.
func (n *tally) add(r *result.Result, truth float64, hits int) {
	c := r.Comparisons[0]
	n.runs++
	n.verdicts[c.Verdict]++
	n.rounds = append(n.rounds, len(r.Arms[0].Trials))
	if c.PHolm != nil && *c.PHolm < result.Alpha {
		n.small++
	}
	if s := c.Remaining; s == nil || s.DecisiveLow <= truth && (s.DecisiveHigh == nil || truth <= *s.DecisiveHigh) {
		n.covered++
	}
	if s := c.Remaining; s == nil || s.Low <= truth && (s.High == nil || truth <= *s.High) {
		n.narrow++
	}
	if c.Remaining != nil && c.Remaining.Divided != nil {
		n.divided++
	}
	if i := r.Instrument; i != nil && (i.DecisiveLow > 1.1 || i.DecisiveHigh != nil && *i.DecisiveHigh < 0.9) {
		n.broken++
	}
	if c.Remaining != nil && c.Remaining.ControlFailed >= hits && (r.Instrument == nil || r.Instrument.ControlFailed >= hits) {
		n.enough++
		n.ofEnough[c.Verdict]++
	}
}

func (n *tally) merge(other *tally) {
	n.runs, n.small, n.covered, n.narrow = n.runs+other.runs, n.small+other.small, n.covered+other.covered, n.narrow+other.narrow
	n.enough, n.broken, n.divided = n.enough+other.enough, n.broken+other.broken, n.divided+other.divided
	n.rounds = append(n.rounds, other.rounds...)
	for v, k := range other.verdicts {
		n.verdicts[v] += k
	}
	for v, k := range other.ofEnough {
		n.ofEnough[v] += k
	}
}

// labelled returns how many runs called the arm different in a way that it is not.
func (n *tally) labelled() int {
	return n.verdicts[result.Mitigated] + n.verdicts[result.Reduced] + n.verdicts[result.Worse]
}

// simulate judges so many runs. Each has a generator of its own, so the tally does not
// depend on how many run at a time.
func simulate(r Run, runs int) *tally {
	workers, sum := runtime.GOMAXPROCS(0), newTally()
	parts := make([]*tally, workers)
	var wait sync.WaitGroup
	for w := range workers {
		parts[w] = newTally()
		wait.Go(func() {
			for i := w; i < runs; i += workers {
				res := r.Simulate(rand.New(rand.NewPCG(*simulatedSeed, uint64(i))))
				verdict.Judge(res)
				parts[w].add(res, r.Remaining[1], r.Until.Hits)
			}
		})
	}
	wait.Wait()
	for _, p := range parts {
		sum.merge(p)
	}
	return sum
}

// controlled returns a run as the tool makes them by default, of two arms.
func controlled(m Machine, remaining float64) Run {
	return Run{
		Machine: m, Remaining: []float64{1, remaining}, Requests: 4000, Rounds: 6,
		Until: result.Until{Hits: 1100, RoundsMax: 60},
	}
}

// printRow prints a row of a table, and above the first one its head.
func printRow(t *testing.T, head bool, label string, n *tally) {
	t.Helper()
	if head {
		t.Log("| case | mitigated | reduced | equal | worse | undecided | p < α | 99.9 % holds | 95 % holds | has hits | of these mitigated | rounds: median / 90 / 99 % | instrument failed / divided |")
	}
	share := func(k, of int) string {
		if of == 0 {
			return "-"
		}
		low, high := stats.ProportionInterval(k, of, 0.95)
		if k == 0 || k == of {
			return fmt.Sprintf("%.4g (%.3g-%.3g)", 100*float64(k)/float64(of), 100*low, 100*high)
		}
		return fmt.Sprintf("%.3f (%.3f-%.3f)", 100*float64(k)/float64(of), 100*low, 100*high)
	}
	row := []string{label}
	for _, v := range []result.ArmVerdict{result.Mitigated, result.Reduced, result.Equal, result.Worse, result.Undecided} {
		row = append(row, share(n.verdicts[v], n.runs))
	}
	slices.Sort(n.rounds)
	at := func(q float64) int { return n.rounds[int(math.Ceil(q*float64(n.runs)))-1] }
	row = append(row, share(n.small, n.runs), share(n.covered, n.runs), share(n.narrow, n.runs), share(n.enough, n.runs),
		share(n.ofEnough[result.Mitigated], n.enough), fmt.Sprintf("%d / %d / %d", at(0.5), at(0.9), at(0.99)), fmt.Sprintf("%d / %d", n.broken, n.divided))
	t.Log("| " + strings.Join(row, " | ") + " |")
}

// simulatedCase is a run with a check of its tally.
type simulatedCase struct {
	name  string
	run   Run
	check func(n *tally) string // what is wrong with the tally; empty if nothing is
}

// TestSimulate judges simulated runs, whose truth is known. With -simulate.runs it prints
// tables, and takes minutes to hours.
func TestSimulate(t *testing.T) {
	runs := *simulatedRuns
	if runs == 0 {
		runs = briefRuns
	}
	for _, group := range []struct {
		name  string
		cases []simulatedCase
	}{
		{"identical arms", identicalCases()},
		{"partial mitigations", partialCases()},
		{"drawn ports", drawnCases()},
		{"ports that are hit unequally", biasedCases()},
		{"without a control", uncontrolledCases()},
	} {
		t.Run(strings.ReplaceAll(group.name, " ", "-"), func(t *testing.T) {
			for i, c := range group.cases {
				n := simulate(c.run, runs)
				if *simulatedRuns > 0 {
					printRow(t, i == 0, c.name, n)
				}
				if wrong := c.check(n); wrong != "" {
					t.Errorf("%s, of %d runs: %s", c.name, n.runs, wrong)
				}
			}
		})
	}
}

// atMost reports as wrong a count that is above a share of the runs by more than chance
// explains: by more than six standard errors of a binomial distribution, and one.
func atMost(what string, k, runs int, share float64) string {
	mean := share * float64(runs)
	if float64(k) > mean+6*math.Sqrt(mean)+1 {
		return fmt.Sprintf("%s in %d runs of %d; allowed: %.4g %%\n", what, k, runs, 100*share)
	}
	return ""
}

// The bounds of every case.
func checkAlways(n *tally) string {
	return atMost("the interval at 99.9 % misses the truth", n.runs-n.covered, n.runs, 0.003) +
		atMost("the interval at 95 % misses the truth", n.runs-n.narrow, n.runs, 0.05)
}

func identicalCases() (all []simulatedCase) {
	for _, m := range Machines {
		all = append(all, simulatedCase{m.Name, controlled(m, 1), func(n *tally) string {
			return checkAlways(n) + atMost("a false label", n.labelled(), n.runs, 0.001)
		}})
	}
	return all
}

func partialCases() (all []simulatedCase) {
	for _, remaining := range []float64{0.02, 0.5, 0.1, 0.05} {
		for _, m := range Machines {
			all = append(all, simulatedCase{fmt.Sprintf("%s, true %.4g %%", m.Name, 100*(1-remaining)), controlled(m, remaining), func(n *tally) string {
				wrong := checkAlways(n) + atMost("a false `mitigated`", n.verdicts[result.Mitigated], n.runs, 0.001)
				if remaining == 0.5 {
					wrong += atMost("halved failures not found with all hits", n.enough-n.ofEnough[result.Reduced], n.enough, 0.01)
				}
				return wrong
			}})
		}
	}
	return all
}

func drawnCases() (all []simulatedCase) {
	for _, m := range Machines {
		all = append(all, simulatedCase{m.Name, controlled(m, Drawn), func(n *tally) string {
			return checkAlways(n) + atMost("not `mitigated` with all hits", n.enough-n.ofEnough[result.Mitigated], n.enough, 0.001)
		}})
	}
	return all
}

func biasedCases() (all []simulatedCase) {
	for _, bias := range []struct{ lasting, sd float64 }{{0, 0.02}, {0, 0.05}, {0.05, 0.02}, {0.2, 0.02}} {
		for _, m := range Machines {
			for _, remaining := range []float64{1, 0.5} {
				r := controlled(m, remaining)
				r.LastingBias, r.PortBias = bias.lasting, bias.sd
				name := fmt.Sprintf("%s, remaining %g, bias %.0f %%, sd %.0f %%", m.Name, remaining, 100*bias.lasting, 100*bias.sd)
				all = append(all, simulatedCase{name, r, func(n *tally) string {
					if remaining < 1 {
						return ""
					}
					return atMost("a false label", n.labelled(), n.runs, 0.001)
				}})
			}
		}
	}
	return all
}

func uncontrolledCases() (all []simulatedCase) {
	for _, remaining := range []float64{1, 0.5, 0.1, 0.02, Drawn} {
		for _, m := range Machines {
			r := controlled(m, remaining)
			r.Uncontrolled, r.Rounds, r.Until.Hits = true, 12, 0
			all = append(all, simulatedCase{fmt.Sprintf("%s, remaining %.4g", m.Name, remaining), r, func(n *tally) string {
				switch remaining {
				case 1:
					return atMost("a false label", n.labelled(), n.runs, 0.001)
				case Drawn:
					return ""
				}
				return atMost("a false `mitigated`", n.verdicts[result.Mitigated], n.runs, 0.001)
			}})
		}
	}
	return all
}
