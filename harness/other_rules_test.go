package harness

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/lab"
)

func ruleCounters(rules ...lab.RuleCounter) lab.RuleCounters { return lab.RuleCounters{Rules: rules} }

func TestDescribeTakers(t *testing.T) {
	t.Parallel()
	const noRule = "no other rule matched them at the postrouting hook, so they did not reach it, or are exempt from NAT"
	rule := func(text string, at int, packets uint64) lab.RuleCounter {
		return lab.RuleCounter{Place: "POSTROUTING (nft)", Rule: text, At: at, Packets: packets}
	}
	for _, c := range []struct {
		name          string
		before, after lab.RuleCounters
		want          string
	}{
		{"nothing_else_is_there", ruleCounters(), ruleCounters(), noRule},
		{"nothing_moved", ruleCounters(rule("a", 1, 7)), ruleCounters(rule("a", 1, 7)), noRule},
		{"one_moved", ruleCounters(rule("a", 1, 7), rule("b", 2, 9)), ruleCounters(rule("a", 1, 7), rule("b", 2, 19)), "instead rule 2 of POSTROUTING (nft), b, matched 10"},
		{"little_of_it_moved", ruleCounters(rule("a", 1, 7)), ruleCounters(rule("a", 1, 11)), noRule},
		{"half_of_it_moved", ruleCounters(rule("a", 1, 7)), ruleCounters(rule("a", 1, 12)), "instead rule 1 of POSTROUTING (nft), a, matched 5"},
		{"two_moved", ruleCounters(rule("a", 1, 0), rule("b", 3, 0)), ruleCounters(rule("a", 1, 10), rule("b", 3, 12)),
			"instead rule 1 of POSTROUTING (nft), a, matched 10, and rule 3 of POSTROUTING (nft), b, matched 12"},
		{"it_was_inserted_meanwhile", ruleCounters(rule("b", 1, 100)), ruleCounters(rule("a", 1, 10), rule("b", 2, 100)), "instead rule 1 of POSTROUTING (nft), a, matched 10"},
		{"it_was_written_anew", ruleCounters(rule("a", 1, 100)), ruleCounters(rule("a", 1, 10)), "instead rule 1 of POSTROUTING (nft), a, matched 10"},
		{"the_second_of_two_equal_ones", ruleCounters(rule("a", 1, 50), rule("a", 2, 5)), ruleCounters(rule("a", 1, 50), rule("a", 2, 15)), "instead rule 2 of POSTROUTING (nft), a, matched 10"},
		{"something_cannot_be_read", ruleCounters(), lab.RuleCounters{Unread: []string{"x", "y"}}, noRule + " (not seen: x; y)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := describeTakers(c.before, c.after, 10); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The path check and the check of each trial name the rule that took the
// connections.
func TestRunNamesTakers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		until uint64 // requests that pass our rule
		want  string
	}{
		{"path_check", 0, "; instead rule 1 of POSTROUTING (nft), \"theirs\", matched 2"},
		{"trial", 42, "round 1, arm a: the rule \"-j MASQUERADE\" matched 0 of 40 connections; instead rule 1 of POSTROUTING (nft), \"theirs\", matched 40"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeLab(t, 2)
			f.matched = func(sent uint64) uint64 { return min(sent, c.until) }
			f.others = func(sent uint64) lab.RuleCounters {
				return ruleCounters(lab.RuleCounter{Place: "POSTROUTING (nft)", Rule: `"theirs"`, At: 1, Packets: 1000 + sent - min(sent, c.until)},
					lab.RuleCounter{Place: "POSTROUTING (nft)", Rule: `"idle"`, At: 2, Packets: 5})
			}
			_, _, err := f.run(t.Context(), ephemeralScenario(2, "a"))
			if !strings.HasSuffix(fmt.Sprint(err), c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
