package verdict

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// A reason is why the race may not have occurred in the baseline.
type reason struct {
	brief string // in the summary
	full  string // in the warnings, with what can be done
}

const (
	missedMany  = 0.1  // of all slots: from there on the clients are out of step
	slowestRate = 0.01 // that lockstep is to be seen at; on seven kernels it was 4 % or more
)

// reasons lists what was measured that keeps the race from occurring, the most
// certain first.
func reasons(r *result.Result) []reason {
	baseline := r.Arms[0]
	n := count(baseline)
	var found []reason
	add := func(brief, full string) { found = append(found, reason{brief, full}) }
	if r.Scenario.Clients == 1 {
		add("there is only one client", "there is only one client, and it takes two to meet (clients: 2 or more)")
	}
	if slices.ContainsFunc(baseline.Settings, splitsPorts) {
		add("each client has source ports of its own",
			fmt.Sprintf("in %s each client has source ports of its own: no two ask NAT for the same one (leave client_ports out of the first arm)", baseline.Name))
	}
	if randomises.MatchString(baseline.Rule) {
		add("the baseline's rule draws ports at random",
			fmt.Sprintf("the rule of %s draws source ports at random, which is a mitigation already (make an arm without it the first)", baseline.Name))
	}
	if out := leftOut(baseline); out != nil {
		add("the baseline's range of ports leaves out ports of the clients",
			fmt.Sprintf("the rule of %s draws another port for the clients' ports %s, which are not in its range %s (make an arm without to_ports the first)",
				baseline.Name, portsText(out...), portsText(*baseline.ToPorts)))
	}
	if r.Environment.CPUs == 1 {
		add("the clients have one CPU", "the clients may run on one CPU only, where nothing happens at the same moment (give them two or more)")
	}
	switch {
	case r.Scenario.Pattern == result.Ephemeral && !sharedCounter(r.Environment.Kernel):
		add("the kernel chose the source ports",
			"the source ports were chosen by the kernel (pattern ephemeral), and since Linux 5.0 such ports rarely meet (the pattern lockstep shows whether the race can be hit at all)")
	case r.Scenario.Pattern == result.Lockstep && r.Scenario.Sync == result.SyncClock:
		add("the clients kept step by the clock", "the clients kept step by the clock, which misses the race on a busy machine (sync: barrier does not)")
	}
	if missed := missedShare(baseline); missed > missedMany {
		add("the clients were out of step", fmt.Sprintf("the clients missed %s of their slots in %s: they were out of step (leave the machine to them, or lower the rate)",
			format.Percent(missed), baseline.Name))
	}
	if r.Incomplete == "" && float64(n.requests)*slowestRate < result.Floor {
		add("there were few requests", fmt.Sprintf("%s few: a race that hits 1 %% of them does not reach the floor of %d (more requests, or more rounds)",
			format.Plural(n.requests, "request is", "requests are"), result.Floor))
	}
	return found
}

// likely says in a sentence why the race may not have occurred.
func likely(r *result.Result) string {
	if len(r.Arms[0].Trials) == 0 {
		return ""
	}
	var briefs []string
	for _, reason := range reasons(r) {
		briefs = append(briefs, reason.brief)
	}
	if len(briefs) == 0 {
		return " Nothing that was measured says why."
	}
	return " Likely why: " + strings.Join(briefs, "; ") + "."
}

// randomises matches --random and --random-fully of iptables, random and
// fully-random of nftables.
var randomises = regexp.MustCompile(`(^|[\s,])(--random|--random-fully|random|fully-random)($|[\s,])`)

// splitsPorts knows the setting by the words of harness/lab.
func splitsPorts(setting string) bool {
	return strings.Contains(setting, "source ports of its own")
}

// sharedCounter reports whether a kernel takes the ports of all connections from
// one counter, as kernels did before 5.0: there, ports that it chose do meet.
func sharedCounter(release string) bool {
	var major int
	_, err := fmt.Sscanf(release, "%d.", &major)
	return err == nil && major < 5
}

// missedShare is that of the slots of an arm in which a client did not fire in
// step.
func missedShare(arm result.Arm) float64 {
	missed := 0
	for _, t := range arm.Trials {
		missed += t.Slots.Missed
	}
	return float64(missed) / float64(max(1, count(arm).requests))
}
