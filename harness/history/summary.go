package history

import (
	"snatlab/harness/result"
)

// Summarise is what the store knows of a result.
func Summarise(r *result.Result) Run {
	run := Run{
		ID: r.ID, Folder: r.ID, Version: r.Version, Started: r.Started, Kernel: r.Environment.Kernel, Key: KeyOf(r),
		Verdict: r.Verdict, Incomplete: r.Incomplete, Expected: r.Expected,
	}
	verdicts := map[string]result.ArmVerdict{}
	for _, c := range r.Comparisons {
		verdicts[c.Arm] = c.Verdict
	}
	for _, a := range r.Arms {
		arm := Arm{Name: a.Name, Trials: len(a.Trials), Causes: map[string]int{}, FailureRate: a.FailureRate, Verdict: verdicts[a.Name]}
		for _, t := range a.Trials {
			arm.Requests += t.Requests
			arm.Failed += t.Failed
			for cause, n := range t.Causes {
				if n > 0 {
					arm.Causes[cause] += n
				}
			}
		}
		run.Arms = append(run.Arms, arm)
	}
	return run
}

// KeyOf is the key of a result.
func KeyOf(r *result.Result) Key {
	e := r.Environment
	return Key{
		Scenario: r.Scenario.Name, Hash: r.Scenario.Hash, Arch: e.Arch, CPUs: e.CPUs, Driver: e.Driver, Rootless: e.Rootless, NAT: e.NAT,
		Docker: known(e.Docker), Firewall: known(e.Firewall), Iptables: known(e.Iptables), Virtualisation: known(e.Virtualisation), Guest: e.Guest,
	}
}

func known(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// armOf finds an arm of a run by its name.
func armOf(r Run, name string) (Arm, bool) {
	for _, a := range r.Arms {
		if a.Name == name {
			return a, a.Requests > 0
		}
	}
	return Arm{}, false
}

// rateOf is the share of all requests of an arm that failed.
func rateOf(a Arm) float64 { return float64(a.Failed) / float64(max(1, a.Requests)) }
