package wording

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// noRaceCodes are the warnings that state why the race may not have occurred.
var noRaceCodes = map[result.WarningCode]bool{
	result.NoRaceOneClient: true, result.NoRaceSplitPorts: true, result.NoRaceDrawnPorts: true,
	result.NoRaceLeftOut: true, result.NoRaceOneCPU: true, result.NoRaceKernelPorts: true,
	result.NoRaceClock: true, result.NoRaceMissedSlots: true, result.NoRaceControl: true, result.NoRaceFewRequests: true,
}

func isNoRace(code result.WarningCode) bool { return noRaceCodes[code] }

// likelyCauses returns, in a sentence, why the race may not have occurred in a run that
// is inconclusive; nothing where some of it did, and nothing explains that it was little.
func likelyCauses(r *result.Result) string {
	var briefs []string
	for _, w := range r.WarningValues {
		if isNoRace(w.Code) {
			brief, _ := describeNoRace(r, w)
			briefs = append(briefs, brief)
		}
	}
	lost := slices.ContainsFunc(r.Arms, func(a result.Arm) bool { return a.SumTotals().Race+a.SumControl().Race > 0 })
	switch {
	case len(briefs) > 0:
		return " Likely reason: " + strings.Join(briefs, "; ") + "."
	case lost || r.Verdict != result.Inconclusive || len(baselineOf(r).Trials) == 0:
		return ""
	default:
		return " The measurements show no reason."
	}
}

// describeNoRace returns why the race may not have occurred: in brief for the
// summary, and in full, with what can be done, for the warnings.
func describeNoRace(r *result.Result, w result.Warning) (brief, full string) {
	baseline := baselineOf(r)
	switch w.Code {
	case result.NoRaceOneClient:
		return "there is only one client",
			"there is only one client, and it takes two to meet (clients: 2 or more)"
	case result.NoRaceSplitPorts:
		meet, key := "ask NAT for the same one", "client_ports"
		if baseline.PortsPerClient > 0 {
			meet, key = "get the same one from NAT", "ports_per_client"
		}
		return "each client has source ports of its own",
			fmt.Sprintf("in %s each client has source ports of its own: no two %s (leave %s out of the first arm)", baseline.Name, meet, key)
	case result.NoRaceDrawnPorts:
		return "the baseline's rule draws ports at random",
			fmt.Sprintf("the rule of %s draws source ports at random, which is a mitigation already (make an arm without it the first)", baseline.Name)
	case result.NoRaceLeftOut:
		return "the baseline's range of ports leaves out ports of the clients",
			fmt.Sprintf("the rule of %s draws another port for the clients' ports %s, which are not in its range %s (make an arm without to_ports the first)",
				baseline.Name, describePorts(baseline.LeftOutPorts()), describeRange(baseline.ToPorts))
	case result.NoRaceOneCPU:
		return "the clients have one CPU",
			"the clients may run on one CPU only, where nothing happens at the same moment (give them two or more)"
	case result.NoRaceKernelPorts:
		return "the kernel chose the source ports",
			"the source ports were chosen by the kernel (pattern ephemeral), and since Linux 5.0 such ports rarely meet (the pattern lockstep shows whether the race can be hit at all)"
	case result.NoRaceClock:
		return "the clients kept step by the clock",
			"the clients kept step by the clock, which misses the race on a busy machine (sync: barrier does not)"
	case result.NoRaceMissedSlots:
		return "the clients were out of step",
			fmt.Sprintf("the clients missed %s of their slots in %s: they were out of step (leave the machine to them, or lower the rate)",
				format.Percent(w.Share), baseline.Name)
	case result.NoRaceControl:
		tried := fmt.Sprintf("the phase lock searched in %s, with delays from %.3g to %.3g µs",
			format.Plural(w.Count, "turn", "turns"), float64(w.DelayLow)/1e3, float64(w.DelayHigh)/1e3)
		return "plain masquerade was not hit in any trial's control either: " + tried,
			fmt.Sprintf("no trial's control, which is plain masquerade, was hit either: the clients' packets did not meet in NAT (%s)", tried)
	default: // result.NoRaceFewRequests
		return "there were few requests",
			fmt.Sprintf("%s few: a race that hits 0.1 %% of them does not reach the floor of %d (more requests, or more rounds)",
				format.Plural(w.Count, "request is", "requests are"), result.Floor)
	}
}
