package verdict

import (
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/result"
)

// A rule with a range of ports (to_ports) keeps the source port of a client if it
// lies in the range, and draws another one if it does not (get_unique_tuple in
// net/netfilter/nf_nat_core.c). So the range itself stops no race; to leave the
// clients' ports out of it does.

// leftOut returns the ports of an arm's clients that its rule does not keep since
// they are not in the rule's range. It returns none for a rule that draws every
// port, and where each client has ports of its own: there the range is not what
// keeps the clients apart.
func leftOut(a result.Arm) (out []result.Ports) {
	c, to := a.ClientPorts, a.ToPorts
	if c == nil || to == nil || keepsApart(a) {
		return nil
	}
	if below := (result.Ports{First: c.First, Last: min(c.Last, to.First-1)}); below.First <= below.Last {
		out = append(out, below)
	}
	if above := (result.Ports{First: max(c.First, to.Last+1), Last: c.Last}); above.First <= above.Last {
		out = append(out, above)
	}
	return out
}

// keepsApart reports whether an arm gives clients different source ports, drawn or
// of their own, whatever addresses and ranges it has.
func keepsApart(a result.Arm) bool {
	return randomises.MatchString(a.Rule) || slices.ContainsFunc(a.Settings, splitsPorts)
}

// narrow warns about the arms whose rule leaves ports of the clients out.
func narrow(r *result.Result) (texts []string) {
	for i, a := range r.Arms {
		out := leftOut(a)
		if out == nil {
			continue
		}
		which := portsText(out...)
		if all := portsText(*a.ClientPorts); which != all {
			which += " of " + all
		}
		effect := "NAT draws another port for those connections"
		if i > 0 && (r.Comparisons[i-1].Verdict == result.Mitigated || r.Comparisons[i-1].Verdict == result.Reduced) {
			effect += ", which is what stops the race"
		}
		texts = append(texts, fmt.Sprintf("%s: to_ports %s leaves out the clients' ports %s: %s; clients whose ports lie in the range are not helped",
			a.Name, portsText(*a.ToPorts), which, effect))
	}
	return texts
}

func portsText(ranges ...result.Ports) string {
	var texts []string
	for _, p := range ranges {
		texts = append(texts, fmt.Sprintf("%d-%d", p.First, p.Last))
	}
	return strings.Join(texts, " and ")
}
