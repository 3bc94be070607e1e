package harness

import (
	"fmt"
	"strings"

	"snatlab/harness/lab"
)

// describeTakers names the rules that matched connections which were to pass another
// rule: those whose counters moved by half of the missing ones or more. Other traffic
// of the machine moves them as well, so each is named with its figure.
func describeTakers(before, after lab.RuleCounters, missing uint64) string {
	type rule struct {
		place, text string
		nth         int // of equal ones
	}
	count := func(all lab.RuleCounters, see func(rule, int, uint64)) {
		equal := map[rule]int{}
		for _, c := range all.Rules {
			r := rule{place: c.Place, text: c.Rule}
			equal[r]++
			r.nth = equal[r]
			see(r, c.At, c.Packets)
		}
	}
	was := map[rule]uint64{}
	count(before, func(r rule, _ int, packets uint64) { was[r] = packets })
	var moved []string
	count(after, func(r rule, at int, packets uint64) {
		n := packets - min(was[r], packets)
		if packets < was[r] { // rewritten meanwhile
			n = packets
		}
		if n > 0 && 2*n >= missing {
			moved = append(moved, fmt.Sprintf("rule %d of %s, %s, matched %d", at, r.place, r.text, n))
		}
	})
	text := "instead " + strings.Join(moved, ", and ")
	if moved == nil {
		text = "no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT"
	}
	if after.Unread != nil {
		text += " (not seen: " + strings.Join(after.Unread, "; ") + ")"
	}
	return text
}
