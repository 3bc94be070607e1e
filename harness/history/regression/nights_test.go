package regression

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
	"snatlab/harness/verdict"
	"snatlab/harness/verdict/verdicttest"
	"snatlab/harness/wording"
)

// simulatedNights is the nights of a machine whose behaviour is known.
type simulatedNights struct {
	*rand.Rand
	verdicttest.Machine
	runs []result.RunSummary
	day  int
}

// run makes one attempt under arms that leave these shares of the failures. The second
// arm is expected to remove 99 % of them.
func (m *simulatedNights) run(remaining ...float64) *result.Result {
	r := verdicttest.Run{Machine: m.Machine, Remaining: remaining, Requests: 4000, Rounds: 5, PortBias: 0.02,
		Until: result.Until{Hits: 1000, RoundsMax: 60}}.Simulate(m.Rand)
	r.ID, r.Started = fmt.Sprintf("%016x", m.Uint64()), historytest.FirstDay.AddDate(0, 0, m.day)
	r.Expected = []result.Expectation{{Arm: r.Arms[1].Name, Reduction: new(0.99)}}
	verdict.Judge(r)
	wording.DescribeResult(r)
	return r
}

// night makes as many attempts as the evaluation requires, keeps them, and returns the
// last evaluation.
func (m *simulatedNights) night(remaining ...float64) Evaluation {
	var attempts []*result.Result
	var j Evaluation
	for len(attempts) == 0 || len(attempts) < mostAttempts && j.Again != "" {
		attempts = append(attempts, m.run(remaining...))
		j = Evaluate(attempts, m.runs, nil)
	}
	for _, r := range attempts {
		m.runs = append(m.runs, result.NewRunSummary(r))
	}
	m.day++
	return j
}

// machines returns the models of machines that change their speed, and of one that is
// steady.
func machines() []verdicttest.Machine {
	return slices.DeleteFunc(slices.Clone(verdicttest.Machines), func(m verdicttest.Machine) bool {
		return !slices.Contains([]string{"b", "b'", "b''"}, m.Name)
	})
}

// In a year in which nothing changes there is no regression, whatever the machine does:
// of an arm that draws ports, and of one that halves the failures.
func TestYearWithoutChange(t *testing.T) {
	t.Parallel()
	nights := 365
	if testing.Short() {
		nights = 40
	}
	for _, machine := range machines() {
		t.Run(machine.Name, func(t *testing.T) {
			t.Parallel()
			m := simulatedNights{Rand: rand.New(rand.NewPCG(14, 9)), Machine: machine}
			attempts, doubts := 0, 0
			for range nights {
				j := m.night(1, verdicttest.Drawn, 0.5)
				if len(j.Findings) > 0 {
					t.Errorf("night %d: %s", m.day, j.Findings[0].Text)
				}
				doubts += len(j.Doubts)
			}
			attempts = len(m.runs)
			t.Logf("%d nights, %d attempts, %d doubts", nights, attempts, doubts)
		})
	}
}

// A kernel on which an arm loses a part of its mitigation is found in few nights, and
// is reported until it is repaired.
func TestSabotage(t *testing.T) {
	t.Parallel()
	for _, machine := range machines() {
		for lost, within := range map[float64]int{0.05: 1, 0.01: 3} {
			t.Run(fmt.Sprintf("%s_%v", machine.Name, lost), func(t *testing.T) {
				t.Parallel()
				m := simulatedNights{Rand: rand.New(rand.NewPCG(14, 9)), Machine: machine}
				for range 10 {
					m.night(1, verdicttest.Drawn)
				}
				first := 0
				for n := 1; n <= 8; n++ {
					found := slices.Contains(findingKinds(m.night(1, lost)), result.RemainingRose)
					switch {
					case found && first == 0:
						first = n
					case !found && first > 0:
						t.Errorf("not reported in night %d", n)
					}
				}
				if first == 0 || first > within {
					t.Errorf("found in night %d; within %d is expected", first, within)
				}
				if j := m.night(1, verdicttest.Drawn); len(j.Findings) > 0 {
					t.Errorf("repaired: %s", j.Findings[0].Text)
				}
			})
		}
	}
}
