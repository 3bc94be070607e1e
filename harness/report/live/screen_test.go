package live

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result/watched"
)

func pointer[T any](v T) *T { return &v }

// losing returns a router with four CPUs that loses connections, after some time.
func losing() *watched.State {
	plain := watched.Rule{
		Program: "iptables (nft)", Place: "POSTROUTING", Text: "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
		Packets: pointer(uint64(1234567)), PerSecond: pointer(812.4),
	}
	server := watched.Destination{
		Protocol: "tcp", To: netip.MustParseAddrPort("198.18.1.2:443"), From: netip.MustParseAddr("198.18.1.1"), Entries: 60123, Translated: 60123,
	}
	w := &watched.State{
		Schema: watched.Schema, Time: time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC), Seconds: 142.3, Window: 60.01,
		Of:      watched.Target{Kind: watched.Host, Kernel: "6.18.44"},
		Entries: pointer(uint64(103456)), Max: pointer(uint64(262144)),
		Counters: map[string]watched.Counter{
			"insert_failed": {Total: 456675, PerSecond: 12.2, Recent: 312}, "drop": {Total: 456675, PerSecond: 12.2, Recent: 312},
			"early_drop": {}, "found": {Total: 4123456789, PerSecond: 1045, Recent: 60123}, "invalid": {Total: 17, Recent: 1, PerSecond: 0.04},
			"clash_resolve": {Total: 3}, "search_restart": {Total: 9, PerSecond: 0, Recent: 2}, "insert": {}, "error": {},
		},
		Meanings: []watched.Meaning{
			{Code: watched.MeansRace, Count: 312, Advice: watched.AdviceRandom, Rule: &plain},
			{Code: watched.MeansFewPorts, Destination: &server},
			{Code: watched.MeansInvalid, Count: 1},
		},
		Rules: &watched.Rules{Age: 1.4, Rules: []watched.Rule{
			plain,
			{Program: "nftables", Place: "table inet shop, chain out", Text: `oifname "eth0" masquerade fully-random comment "\x1b[2J` + "\x1b[2Jschön\u202e" + `"`, Random: true},
			{Program: "iptables (legacy)", Place: "KUBE-POSTROUTING", Text: `-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully`, Random: true, Packets: pointer(uint64(7)), PerSecond: pointer(0.05)},
		}, Unread: []string{"nftables, table ip other, chain post: operation not permitted"}},
		Destinations: &watched.Destinations{Age: 12.4, Entries: 103000, Top: []watched.Destination{
			server,
			{Protocol: "udp", To: netip.MustParseAddrPort("[2001:db8:1234:5678:9abc:def0:1234:5678]:53"), From: netip.MustParseAddr("2001:db8::1"), Entries: 812},
		}},
	}
	for i := range 4 {
		w.CPUs = append(w.CPUs, watched.CPU{CPU: i, Counters: map[string]watched.Counter{
			"insert_failed": {Total: uint64(i * 1000), PerSecond: float64(i)}, "drop": {Total: uint64(i * 1000), PerSecond: float64(i)}, "found": {PerSecond: 261.25},
		}})
	}
	return w
}

// quiet returns an old kernel, seen by an ordinary user, at the first reading.
func quiet() *watched.State {
	return &watched.State{
		Schema: watched.Schema, Time: time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC),
		Of: watched.Target{Kind: watched.Net, Name: "process 4711", Kernel: "4.19.0"}, Entries: pointer(uint64(1)),
		Counters: map[string]watched.Counter{"insert_failed": {}, "drop": {}, "early_drop": {}, "found": {Total: 5}, "invalid": {}},
		CPUs:     []watched.CPU{{Counters: map[string]watched.Counter{"found": {Total: 5}}}},
		Meanings: []watched.Meaning{{Code: watched.MeansNothingLost}},
		Missing: []watched.Missing{
			{Part: watched.PartMax, Denied: true}, {Part: watched.PartRules, Denied: true},
			{Part: watched.PartDestinations, Cause: "the module nf_conntrack_netlink is not loaded (modprobe nf_conntrack_netlink)"},
		},
	}
}

var fixtures = map[string]func() *watched.State{"losing": losing, "quiet": quiet}

func TestScreen(t *testing.T) {
	t.Parallel()
	for name, watch := range fixtures {
		for _, width := range []int{20, 60, 80, 120, 200} {
			lines := Screen(watch(), Size{Width: width}, false)
			reporttest.CheckGolden(t, filepath.Join("testdata", fmt.Sprintf("%s-%d.txt", name, width)), strings.Join(lines, "\n")+"\n")
		}
		lines := Screen(watch(), Size{80, 24}, false)
		reporttest.CheckGolden(t, filepath.Join("testdata", name+"-80x24.txt"), strings.Join(lines, "\n")+"\n")
	}
}

// No line is wider than the terminal, no screen is higher, and nothing but ASCII is on it.
func TestScreenFits(t *testing.T) {
	t.Parallel()
	for name, watch := range fixtures {
		for width := range 220 {
			for _, height := range []int{0, 1, 2, 5, 10, 24, 50} {
				lines := Screen(watch(), Size{width, height}, false)
				if height > 0 && len(lines) > height {
					t.Errorf("%s, %dx%d: %d lines", name, width, height, len(lines))
				}
				for _, l := range lines {
					if len(l) > width {
						t.Errorf("%s, %dx%d: %q is too wide", name, width, height, l)
					}
					if strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
						t.Errorf("%s, %dx%d: %q", name, width, height, l)
					}
				}
			}
		}
	}
}

// No word is broken from 60 columns on.
func TestScreenWords(t *testing.T) {
	t.Parallel()
	for name, watch := range fixtures {
		whole := map[string]bool{}
		for _, word := range strings.Fields(strings.Join(Screen(watch(), Size{Width: 10000}, false), " ")) {
			whole[word] = true
		}
		for width := 60; width < 220; width++ {
			for _, word := range strings.Fields(strings.Join(Screen(watch(), Size{Width: width}, false), " ")) {
				if !whole[word] && !strings.HasPrefix(word, "(and") && word != "more" && !strings.HasPrefix(word, "CPU") && len(word) > 1 && !strings.HasSuffix(word, ",") {
					t.Errorf("%s, width %d: %q", name, width, word)
				}
			}
		}
	}
}

// Colours only add escape sequences.
func TestScreenColour(t *testing.T) {
	t.Parallel()
	plain, coloured := Screen(losing(), Size{Width: 80}, false), Screen(losing(), Size{Width: 80}, true)
	text := strings.Join(coloured, "\n")
	if !strings.Contains(text, styleLost+"! insert_failed") {
		t.Error("the counter of losses has no colour")
	}
	if without := strings.NewReplacer(styleLost, "", styleHead, "", styleOff, "").Replace(text); without != strings.Join(plain, "\n") {
		t.Errorf("got\n%s", without)
	}
}

// The log has a line for each interval; meanings are told when they change.
func TestLog(t *testing.T) {
	t.Parallel()
	for name, width := range map[string]int{"log": 0, "log-60": 60} {
		var out strings.Builder
		l := NewLog(&out, width)
		first, restarted := losing(), losing()
		first.Seconds, first.Meanings = 0, []watched.Meaning{{Code: watched.MeansNothingLost}}
		restarted.Seconds, restarted.Restarts = 0, 1
		for _, w := range []*watched.State{first, losing(), losing(), restarted} {
			if err := l.Show(w); err != nil {
				t.Fatal(err)
			}
		}
		reporttest.CheckGolden(t, "testdata/"+name+".txt", out.String())
	}
}
