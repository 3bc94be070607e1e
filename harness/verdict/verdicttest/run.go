// Package verdicttest simulates runs: results as the tool would record them on machines
// whose behaviour is known, and under arms that remove a known share of the failures. It
// is for tests alone, which judge these results and compare the verdicts with the truth.
//
// The unit is a slot: two clients send one request each from the same port, at most one
// of which is lost. Which slot of a pair is the control's is drawn, so both have the same
// chance, which changes in bursts of about 100 slots.
package verdicttest

import (
	"math"
	"math/rand/v2"

	"snatlab/harness/result"
)

// Drawn is the share of the failures that remains under a rule that draws ports: two of
// 64,512 ports are equal by chance.
const Drawn = 1.0 / 64512

// Run is a run to simulate.
type Run struct {
	Machine
	Remaining []float64 // for each arm, the share of the failures that remains; the first is the baseline
	Requests  int       // of a trial, at first; the control sends as many
	Rounds    int       // at least
	Until     result.Until

	// PortBias is the standard deviation, over trials, of the logarithm of how much more
	// often the port of the arm is hit than that of the control. LastingBias is its mean.
	PortBias, LastingBias float64

	// Uncontrolled runs have no control: every arm changes what a control would
	// depend on.
	Uncontrolled bool
}

// The model of a trial.
const (
	mostRequests   = 32_000     // of a trial
	slotsOfABurst  = 100        // of the arm, and as many of the control
	secondsOfASlot = 1. / 2_000 // of one of the arm and one of the control
	sdOfABurst     = 0.25
)

// burstFactors are factors of the chance in a burst, log-normal with a mean of 1: the
// middles of parts that are equally likely.
var burstFactors = func() (factors [1024]float64) {
	for i := range factors {
		middle := (float64(i) + 0.5) / float64(len(factors))
		factors[i] = math.Exp(sdOfABurst*math.Sqrt2*math.Erfinv(2*middle-1) - sdOfABurst*sdOfABurst/2)
	}
	return factors
}()

// Simulate returns the result of a run, which is not judged. It ends as a run of the tool
// does: after its least number of rounds, once the control of every arm has lost as many
// requests as it is to. Its trials become larger as theirs do.
func (r Run) Simulate(draw *rand.Rand) *result.Result {
	machine := r.start(draw)
	res := &result.Result{Schema: result.Schema, Arms: r.newArms(), Scenario: result.ScenarioSummary{
		Name: "simulated", Clients: 4, Pattern: result.Lockstep, Requests: r.Requests / 4, Rounds: r.Rounds, Until: &r.Until,
	}}
	hits, requests, now := make([]int, len(res.Arms)), r.Requests, 0.0
	for round := 1; ; round++ {
		gained := make([]int, len(hits))
		for _, i := range draw.Perm(len(res.Arms)) {
			t := r.simulateTrial(draw, machine, r.Remaining[i], requests, now)
			t.Round, t.Port = round, 20_000+round
			now += t.Seconds
			if t.Control != nil {
				gained[i] = t.Control.Failed
			}
			hits[i] += gained[i]
			res.Arms[i].Trials = append(res.Arms[i].Trials, t)
		}
		if round >= r.Rounds && (round >= r.Until.RoundsMax || r.Uncontrolled || haveAll(hits, r.Until.Hits)) {
			return res
		}
		for i := range hits {
			if hits[i]+max(1, r.Rounds-round)*gained[i] < r.Until.Hits && !r.Uncontrolled {
				requests = min(2*requests, mostRequests)
				break
			}
		}
	}
}

func haveAll(hits []int, wanted int) bool {
	for _, h := range hits {
		if h < wanted {
			return false
		}
	}
	return true
}

func (r Run) newArms() (arms []result.Arm) {
	for i := range r.Remaining {
		a := result.Arm{Name: "arm-" + string(rune('a'+i))}
		if r.Uncontrolled && i > 0 {
			a.SettingValues = []result.Setting{{Part: result.PartRouter, Key: "net.netfilter.nf_conntrack_max", Value: "65536"}}
		}
		arms = append(arms, a)
	}
	return arms
}

// simulateTrial returns a trial of an arm under which that share remains.
func (r Run) simulateTrial(draw *rand.Rand, machine runningMachine, remaining float64, requests int, now float64) result.Trial {
	machine.startTrial(now)
	bias := math.Exp(r.LastingBias + r.PortBias*draw.NormFloat64())
	slots := requests / 2
	lost, control := 0, 0
	for first := 0; first < slots; first += slotsOfABurst {
		n := min(slotsOfABurst, slots-first)
		chance := machine.chanceAt(now+float64(first)*secondsOfASlot) * burstFactors[draw.IntN(len(burstFactors))]
		control += drawBinomial(draw, n, min(1, chance))
		lost += drawBinomial(draw, n, min(1, chance*bias*remaining))
	}
	t := result.Trial{
		Requests: requests, Failed: lost, SourcePorts: slots, Seconds: float64(slots) * secondsOfASlot,
		Failures: map[string]int{result.Timeout: lost}, Causes: map[string]int{result.SNATRace: lost},
	}
	t.Conntrack.InsertFailed = uint64(lost)
	if !r.Uncontrolled {
		t.Control = &result.Control{
			Requests: requests, Failed: control, SourcePorts: slots,
			Failures: map[string]int{result.Timeout: control}, Causes: map[string]int{result.SNATRace: control},
		}
		t.Conntrack.InsertFailed += uint64(control)
		t.NoHits = lost+control == 0
	}
	return t
}
