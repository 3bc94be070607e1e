package wording

import (
	"fmt"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// describeWarning returns the sentence of a warning. One about an arm begins with its name.
func describeWarning(r *result.Result, w result.Warning) string {
	switch {
	case isNoRace(w.Code):
		_, full := describeNoRace(r, w)
		return "not triggered: " + full
	case w.Round > 0:
		return fmt.Sprintf("%s, round %d: %s", w.Arm, w.Round, trialWarning(w))
	case w.Arm != "":
		return w.Arm + ": " + armWarning(r, w)
	default:
		return runWarning(r, w)
	}
}

func runWarning(r *result.Result, w result.Warning) string {
	e := r.Environment
	switch w.Code {
	case result.FewRounds:
		return fmt.Sprintf("%s few: the rate of one arm varies by a factor of 50 and more between trials of a machine that changes its speed",
			format.Plural(w.Count, "round is", "rounds are"))
	case result.FewRoundsToCompare:
		return fmt.Sprintf("%s cannot show a difference of an arm that has no control, at p < %v: at least %d are needed",
			format.Plural(w.Count, "round", "rounds"), result.Alpha, w.Least)
	case result.FewRoundsForInterval:
		return fmt.Sprintf("%s few for an arm that has no control, where each trial is one observation: %d or more make the interval narrow enough to use",
			format.Plural(w.Count, "round is", "rounds are"), w.Least)
	case result.FewRoundsToScatter:
		return fmt.Sprintf("%s show how much trials differ from each other: the intervals rest on the counts (%d rounds or more)",
			format.Plural(w.Count, "round does not", "rounds hardly"), w.Least)
	case result.InstrumentFailed:
		return fmt.Sprintf("no verdict about an arm with a control: arm and control differ under the same rule; %s, and it must not lie entirely outside 0.9 to 1.1", DescribeInstrument(r))
	case result.InstrumentDivided:
		return fmt.Sprintf("arm and control differ under the same rule, so the shares that remain are divided by that of the baseline: %s", DescribeInstrument(r))
	case result.BusyMachine:
		return busyMachine(r)
	case result.WidenedWindow:
		return fmt.Sprintf("%s the window of the race: this is not the kernel's own window, and all failure rates depend on these rules",
			format.Plural(e.Widened, "idle rule between NAT and confirmation widens", "idle rules between NAT and confirmation widen"))
	case result.NotWidened:
		return fmt.Sprintf("the kernel cannot have the idle rules that widen the window of the race by default: %s; fewer connections are lost, so the run takes longer to decide", w.Cause)
	case result.NoControl:
		return fmt.Sprintf("the trials have no control, which would show whether they could have lost a connection: the requests take %s of the clients' %s (send fewer, or widen net.ipv4.ip_local_port_range of the clients)",
			format.Thousands(w.Of), format.Plural(w.Count, "source port", "source ports"))
	case result.FilteredPorts:
		return filteredPorts(r)
	case result.NoSharedMemory:
		return fmt.Sprintf("clients share no memory (%s): they keep step by the clock, which misses the race on a busy machine", w.Cause)
	}
	return string(w.Code)
}

func armWarning(r *result.Result, w result.Warning) string {
	switch w.Code {
	case result.NoHits:
		verb := "say"
		if w.Count == 1 {
			verb = "says"
		}
		return fmt.Sprintf("%d of %s %s nothing: neither the arm nor its control lost a connection to the race",
			w.Count, format.Plural(w.Of, "trial", "trials"), verb)
	case result.FewHits:
		return fmt.Sprintf("the run ended at its bound of rounds or time with %s in its control; it was to go on for %s",
			format.Plural(w.Count, "hit", "hits"), format.Thousands(w.Of))
	case result.MachineChanged:
		rate := findArm(r, w.Arm).FailureRate
		return fmt.Sprintf("its trials lost from %s to %s of their requests: the machine changed its state during the run, and what remains under an arm without a control depends on when its trials ran",
			format.Percent(rate.Lowest), format.Percent(rate.Highest))
	case result.BaselineRose:
		return driftWarning("rose", w)
	case result.BaselineFell:
		return driftWarning("fell", w)
	case result.PortsLeftOut:
		return portsLeftOut(r, findArm(r, w.Arm))
	case result.FewAddresses:
		return fewAddresses(r.Scenario.Clients, findArm(r, w.Arm), w)
	case result.DrawsLowPorts:
		return drawsLowPorts(findArm(r, w.Arm), w)
	case result.ExhaustedPorts:
		return fmt.Sprintf("port exhaustion: NAT looked at %s taken ports for each connection, on average, which makes connects slow",
			format.Thousands(w.Count))
	case result.ForeignTraffic:
		return fmt.Sprintf("other traffic was in the conntrack table in %d of %s, and may account for %s and %s",
			w.Count, format.Plural(w.Of, "trial", "trials"),
			format.Plural(w.Failed, "failed insertion", "failed insertions"), format.Plural(w.Drops, "drop", "drops"))
	}
	return string(w.Code)
}

// filteredPorts says how many requests the filter dropped, of each arm that lost one to it.
func filteredPorts(r *result.Result) string {
	var arms []string
	for _, a := range r.Arms {
		if a.SumCause(result.SourceFiltered) == 0 {
			continue
		}
		arms = append(arms, fmt.Sprintf("%s of %s of %s", format.Thousands(a.SumCause(result.SourceFiltered)), format.Plural(a.SumTotals().Requests, "request", "requests"), a.Name))
	}
	return fmt.Sprintf("a filter before the server lets source ports %s in alone, and dropped %s; these were not lost to the race",
		describeRange(r.Environment.AcceptSourcePorts), strings.Join(arms, ", "))
}

func trialWarning(w result.Warning) string {
	switch w.Code {
	case result.UnexplainedFailures:
		verb := "are"
		if w.Count == 1 {
			verb = "is"
		}
		return fmt.Sprintf("%s of %s %s unexplained", format.Thousands(w.Count), format.Plural(w.Of, "failure", "failures"), verb)
	case result.ExcessInsertions:
		return fmt.Sprintf("%s for %s without an answer: other traffic is in the counters, and snat_race may be too high",
			format.Plural(w.Count, "failed insertion", "failed insertions"), format.Plural(w.Of, "request", "requests"))
	case result.Strangers:
		return fmt.Sprintf("the server reset %s from other addresses than the lab's",
			format.Plural(w.Count, "connection", "connections"))
	case result.LateAnswers:
		return fmt.Sprintf("%s came after the timeout of their request, or a second time; each request was counted once",
			format.Plural(w.Count, "answer", "answers"))
	case result.ForeignDatagrams:
		return fmt.Sprintf("%s neither a request of the lab nor its answer; none of them was answered or counted",
			format.Plural(w.Count, "datagram was", "datagrams were"))
	}
	return string(w.Code)
}

func driftWarning(way string, w result.Warning) string {
	exact := ""
	if w.Exact {
		exact = "exact "
	}
	return fmt.Sprintf("the failure rate %s in the course of the run (Mann-Kendall, %s%s); interleaved arms drift together, which hides differences, and the share that remains depends on when trials ran",
		way, exact, format.P(w.P))
}

func portsLeftOut(r *result.Result, a result.Arm) string {
	which := describePorts(a.LeftOutPorts())
	if all := describeRange(a.ClientPorts); which != all {
		which += " of " + all
	}
	effect := "NAT draws another port for those connections"
	if v := findComparison(r, a.Name).Verdict; v == result.Mitigated || v == result.Reduced {
		effect += ", and that stops the race"
	}
	return fmt.Sprintf("to_ports %s leaves out the clients' ports %s: %s; clients whose ports lie in the range are not helped",
		describeRange(a.ToPorts), which, effect)
}

func drawsLowPorts(a result.Arm, w result.Warning) string {
	from, common := "from 1024 up", describeRange(&result.CommonPorts)
	if a.ToPorts != nil {
		from = "in " + describeRange(a.ToPorts)
	}
	return fmt.Sprintf("the rule draws source ports %s: %s of its connections came from outside %s, and a filter on the way to the server that lets only these ports in drops them (to_ports: %s keeps to them)",
		from, format.Percent(float64(w.Count)/float64(max(1, w.Of))), common, common)
}

func fewAddresses(clients int, a result.Arm, w result.Warning) string {
	const otherwise = " (other addresses, or more clients, are distributed differently)"
	which := fmt.Sprintf("from %d of its %d addresses", w.Count, w.Of)
	if w.Count == 1 && len(a.Sources) > 0 {
		which = fmt.Sprintf("from %s, one of its %d addresses", a.Sources[0].Address, w.Of)
	}
	who := format.Plural(clients, "client", "clients")
	switch {
	case clients == 1:
		who = "the only client keeps the same one"
	case a.KeepsApart():
		who += " keep apart by their source ports alone"
	case w.Count == 1:
		who = fmt.Sprintf("the %d clients got the same one, and meet there as with a single address%s", clients, otherwise)
	default:
		who += " share them, and meet there as with fewer addresses" + otherwise
	}
	return fmt.Sprintf("all connections left %s; the kernel picks one by a hash of the client's and the server's address, and %s", which, who)
}
