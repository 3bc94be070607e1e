package regression

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// causeNights draws runs of a machine on which an arm has that many refused requests in
// that share of the runs.
type causeNights struct {
	*rand.Rand
	runs []result.RunSummary
}

func (m *causeNights) drawRun(share float64) result.RunSummary {
	r := result.RunSummary{ID: strconv.FormatUint(m.Uint64(), 16), Started: historytest.FirstDay.AddDate(0, 0, len(m.runs)), Arms: []result.ArmSummary{
		{Name: "masquerade", Requests: 48000}, {Name: "random-fully", Requests: 48000, Causes: map[string]int{}}}}
	if m.Float64() < share {
		r.Arms[1].Causes[result.CauseRefused] = 30
	}
	return r
}

// evaluateNight makes as many attempts as the evaluation requires, keeps them, and
// returns the number of findings.
func (m *causeNights) evaluateNight(share float64) int {
	n := night{before: m.runs}
	for attempt := 0; attempt == 0 || attempt < mostAttempts && n.Again != ""; attempt++ {
		n.Evaluation = Evaluation{}
		n.tonight = append(n.tonight, m.drawRun(share))
		n.askCause(subject{arm: "random-fully", cause: result.CauseRefused})
	}
	m.runs = append(m.runs, n.tonight...)
	return len(n.Findings)
}

// If all nights are alike, and requests fail for a cause now and then by chance, alarms are
// as rare as the package comment promises.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	for share, allowed := range map[float64]float64{0: 0, 0.05: 0.002, 0.2: 0.01, 0.5: 0.01} {
		alarms, nights, source := 0, 0, rand.New(rand.NewPCG(1, 2))
		for range 100 {
			m := causeNights{Rand: source}
			for range 20 {
				m.runs = append(m.runs, m.drawRun(share))
			}
			for range 40 {
				alarms += m.evaluateNight(share)
				nights++
			}
		}
		got := float64(alarms) / float64(nights)
		t.Logf("in %v of the runs: an alarm in %v of nights", share, got)
		if got > allowed {
			t.Errorf("in %v of the runs: more than %v", share, allowed)
		}
	}
}
