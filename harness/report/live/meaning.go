package live

import (
	"fmt"
	"math"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result/watched"
)

// describeMeaning returns the sentences of a meaning: what happened, and what can be
// done.
func describeMeaning(w *watched.State, m watched.Meaning) string {
	since := describeWindow(w)
	switch m.Code {
	case watched.MeansRace:
		return describeRace(m, since)
	case watched.MeansChainTooLong:
		return fmt.Sprintf("%s lost %s because a chain of conntrack's hash table was too long (chaintoolong): raise net.netfilter.nf_conntrack_buckets.",
			packets(m.Count, "was", "were"), since)
	case watched.MeansOtherDrops:
		return fmt.Sprintf("%s dropped %s for another reason than a failed insertion (drop): mostly because the table was full; compare the entries with their limit, and see the kernel's log.",
			packets(m.Count, "was", "were"), since)
	case watched.MeansEvicted:
		return fmt.Sprintf("%s removed %s to make room for new ones (early_drop): the table is full; raise net.netfilter.nf_conntrack_max.",
			countOf(m.Count, "entry was", "entries were"), since)
	case watched.MeansNearlyFull:
		return "The table is nearly full, and then new connections are dropped: raise net.netfilter.nf_conntrack_max, or shorten the timeouts."
	case watched.MeansFewPorts:
		return describeFewPorts(*m.Destination)
	case watched.MeansPortsTaken:
		return fmt.Sprintf("NAT met a taken port %s times %s (found): many connections to few destinations; searching costs time, and when no port is free, connections are lost.",
			format.Thousands(m.Count), since)
	case watched.MeansClashResolved:
		return fmt.Sprintf("%s another one of the same UDP socket at the same moment %s (clash_resolve): the kernel merged them, and nothing was lost.",
			packets(m.Count, "met", "met"), since)
	case watched.MeansInvalid:
		return fmt.Sprintf("%s no connection %s (invalid): late answers and resets, or scans. They are not translated.",
			packets(m.Count, "belonged to", "belonged to"), since)
	case watched.MeansNothingLost:
		return "No connection was lost in conntrack " + since + "."
	}
	return string(m.Code)
}

// describeWindow returns what the counters of a meaning are about: "in the last 60 s".
func describeWindow(w *watched.State) string {
	switch {
	case w.Readings > 0:
		return "between the first and the last reading"
	case w.Seconds == 0:
		return "since this network namespace exists"
	case w.Window > 59 && w.Window < 62:
		return "in the last minute"
	}
	return fmt.Sprintf("in the last %.0f s", math.Max(1, w.Window))
}

func describeRace(m watched.Meaning, since string) string {
	text := fmt.Sprintf("%s lost the first packet %s, because another got the same source port at the same moment (insert_failed).",
		countOf(m.Count, "connection", "connections"), since)
	if m.Unsplit {
		text += " Before Linux 5.10 this counter includes UDP packets that were merged, and not lost: compare with drop."
	}
	if m.Destination != nil {
		text += " Here it may also be that no port is free: " + describeFewPorts(*m.Destination)
	}
	return text + " " + describeAdvice(m)
}

func describeAdvice(m watched.Meaning) string {
	switch m.Advice {
	case watched.AdviceRandom:
		return fmt.Sprintf("Rule '%s' of %s, %s, has no %[4]s: try it with %[4]s.", m.Rule.Text, m.Rule.Program, m.Rule.Place, randomOption(*m.Rule))
	case watched.AdviceAnyRandom:
		return "Try --random-fully (nftables: fully-random) in the rule that translates."
	case watched.AdviceNoRule:
		return "No rule here translates source addresses, so these are other clashes: one connection seen twice, or entries that another program makes."
	case watched.AdviceIsRandom:
		return "Every rule here draws ports at random already: look at the destinations with the most entries."
	}
	return ""
}

// randomOption returns the option that draws ports at random, as the program of the rule
// writes it.
func randomOption(r watched.Rule) string {
	if strings.HasPrefix(r.Program, "iptables") || strings.Contains(r.Text, "MASQUERADE") {
		return "--random-fully"
	}
	return "fully-random"
}

func describeFewPorts(d watched.Destination) string {
	return fmt.Sprintf("%s entries from %v to %s %v use %s of the %s source ports. With none left, connections are lost: add source addresses or destinations, or shorten timeouts.",
		format.Thousands(d.Entries), d.From, d.Protocol, d.To, format.Percent(float64(d.Entries)/watched.NATPorts), format.Thousands(watched.NATPorts))
}

// packets returns "1 packet was" or "2,000 packets were".
func packets(n uint64, one, many string) string {
	return countOf(n, "packet "+one, "packets "+many)
}

func countOf(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return format.Thousands(n) + " " + many
}

// describeTarget returns what is watched: "this host".
func describeTarget(t watched.Target) string {
	switch t.Kind {
	case watched.Host:
		return "this host"
	case watched.Net:
		return "namespace of " + t.Name
	case watched.Lab:
		return "router of lab " + t.Name
	case watched.Text:
		return "counters from standard input"
	}
	return t.Name
}

// describePart returns the name of a part of a watch.
func describePart(p watched.Part) string {
	switch p {
	case watched.PartMax:
		return "the limit of the table"
	case watched.PartRules:
		return "the translating rules"
	case watched.PartDestinations:
		return "the top destinations"
	}
	return string(p)
}
