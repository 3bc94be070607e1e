package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"snatlab/harness/result/watched"
)

// moved returns a watch in which counters moved: "drop=3".
func moved(t *testing.T, text string) *watched.State {
	t.Helper()
	w := &watched.State{Seconds: 60, Window: 60, Counters: map[string]watched.Counter{"clash_resolve": {}, "chaintoolong": {}}}
	for _, field := range strings.Fields(text) {
		name, value, _ := strings.Cut(field, "=")
		var n uint64
		if _, err := fmt.Sscan(value, &n); err != nil {
			t.Fatal(err)
		}
		w.Counters[name] = watched.Counter{Total: 1000 + n, Recent: n, PerSecond: float64(n) / 60}
	}
	return w
}

// meaningsOf returns codes and counts: "race 3, evicted 1".
func meaningsOf(w *watched.State) string {
	var all []string
	for _, m := range Explain(w) {
		text := string(m.Code)
		if m.Count > 0 {
			text += fmt.Sprint(" ", m.Count)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for counters, want := range map[string]string{
		"":                                      "nothing_lost",
		"insert_failed=3 drop=3":                "race 3",
		"insert_failed=3":                       "race 3",                   // before 5.10: perhaps resolved
		"insert_failed=5 chaintoolong=2 drop=3": "race 3, chain_too_long 2", // not in drop
		"insert_failed=2 chaintoolong=2":        "chain_too_long 2",
		"insert_failed=3 drop=10":               "race 3, other_drops 7",
		"drop=4 early_drop=9":                   "other_drops 4, evicted 9",
		"found=600":                             "nothing_lost",
		"found=60000":                           "nothing_lost, ports_taken 60000", // 1,000 a second
		"clash_resolve=2 invalid=1":             "nothing_lost, clash_resolved 2, invalid 1",
		"search_restart=9 insert=2":             "nothing_lost",
	} {
		if got := meaningsOf(moved(t, counters)); got != want {
			t.Errorf("%s: got %s, want %s", counters, got, want)
		}
	}
}

// A single reading is explained by its totals.
func TestExplainTotals(t *testing.T) {
	t.Parallel()
	w := moved(t, "insert_failed=0 drop=0")
	w.Seconds = 0
	if got := meaningsOf(w); got != "race 1000" {
		t.Errorf("got %s", got)
	}
}

func TestExplainOldKernel(t *testing.T) {
	t.Parallel()
	w := moved(t, "insert_failed=1")
	if Explain(w)[0].Unsplit {
		t.Error("a kernel with clash_resolve")
	}
	delete(w.Counters, "clash_resolve")
	if !Explain(w)[0].Unsplit {
		t.Error("a kernel without clash_resolve")
	}
}

func TestExplainTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries, limit uint64
		want           string
	}{
		"half full": {50, 100, "nothing_lost"}, "nearly full": {90, 100, "nearly_full"}, "no limit": {90, 0, "nothing_lost"},
	} {
		w := moved(t, "")
		w.Entries, w.Max = &c.entries, &c.limit
		if got := meaningsOf(w); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestExplainDestinations(t *testing.T) {
	t.Parallel()
	server := watched.Destination{Protocol: "tcp", To: netip.MustParseAddrPort("198.18.1.2:443"), From: netip.MustParseAddr("198.18.1.1")}
	for name, c := range map[string]struct {
		entries, translated int
		counters, want      string
	}{
		"few entries":               {40_000, 40_000, "", "nothing_lost"},
		"many entries":              {60_000, 60_000, "", "few_ports"},
		"many, but none translated": {60_000, 0, "", "nothing_lost"},
		"all ports":                 {64_512, 64_512, "insert_failed=1 drop=1", "race 1, few_ports"},
	} {
		w := moved(t, c.counters)
		d := server
		d.Entries, d.Translated = c.entries, c.translated
		w.Destinations = &watched.Destinations{Top: []watched.Destination{d}}
		if got := meaningsOf(w); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if m := Explain(w)[0]; m.Code == watched.MeansRace && m.Destination == nil {
			t.Errorf("%s: the race does not name the destination", name)
		}
	}
}

// The advice names the busiest rule that is exposed.
func TestAdvise(t *testing.T) {
	t.Parallel()
	rate := func(n float64) *float64 { return &n }
	count := func(n uint64) *uint64 { return &n }
	slow, fast := watched.Rule{Text: "slow", PerSecond: rate(1), Packets: count(900)}, watched.Rule{Text: "fast", PerSecond: rate(2)}
	old := watched.Rule{Text: "old", Packets: count(7)}
	random := watched.Rule{Text: "random", Random: true, PerSecond: rate(9)}
	for name, c := range map[string]struct {
		rules  *watched.Rules
		advice watched.Advice
		rule   string
	}{
		"not listed":     {nil, watched.AdviceAnyRandom, ""},
		"unreadable":     {&watched.Rules{Unread: []string{"chain"}}, watched.AdviceAnyRandom, ""},
		"none":           {&watched.Rules{}, watched.AdviceNoRule, ""},
		"all random":     {&watched.Rules{Rules: []watched.Rule{random}}, watched.AdviceIsRandom, ""},
		"the busiest":    {&watched.Rules{Rules: []watched.Rule{old, slow, fast, random}}, watched.AdviceRandom, "fast"},
		"without a rate": {&watched.Rules{Rules: []watched.Rule{{Text: "bare"}, old}}, watched.AdviceRandom, "old"},
	} {
		advice, rule := advise(c.rules)
		text := ""
		if rule != nil {
			text = rule.Text
		}
		if advice != c.advice || text != c.rule {
			t.Errorf("%s: got %s %q, want %s %q", name, advice, text, c.advice, c.rule)
		}
	}
}
