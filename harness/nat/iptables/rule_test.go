package iptables

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// A rule is parsed into its text, its words and its packets.
func TestParseRule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, line, text string
		spec             []string
		packets          uint64
	}{
		{"counters before the target",
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -c 7 420 -j MASQUERADE --random-fully",
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully",
			[]string{"-s", "198.18.0.0/24", "!", "-o", "snat-c", "-j", "MASQUERADE", "--random-fully"}, 7},
		{"counters that go-iptables has put last",
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE -c 7 420",
			"-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE",
			[]string{"-s", "198.18.0.0/24", "!", "-o", "snat-c", "-j", "MASQUERADE"}, 7},
		{"addresses of IPv6 in brackets",
			"-A POSTROUTING -s 2001:2::/64 ! -o snat-c -p tcp -c 7 560 -j SNAT --to-source [2001:2:0:1::11]:20000-20009",
			"-A POSTROUTING -s 2001:2::/64 ! -o snat-c -p tcp -j SNAT --to-source [2001:2:0:1::11]:20000-20009",
			[]string{"-s", "2001:2::/64", "!", "-o", "snat-c", "-p", "tcp", "-j", "SNAT", "--to-source", "[2001:2:0:1::11]:20000-20009"}, 7},
		{"no counters", "-A POSTROUTING -j RETURN", "-A POSTROUTING -j RETURN", []string{"-j", "RETURN"}, 0},
		{"no target", "-A POSTROUTING -s 1.2.3.4/32 -c 9 9", "-A POSTROUTING -s 1.2.3.4/32", []string{"-s", "1.2.3.4/32"}, 9},
		{"a goto", "-A POSTROUTING -c 9 540 -g OTHER", "-A POSTROUTING -g OTHER", []string{"-g", "OTHER"}, 9},
		{"nothing but the chain", "-A POSTROUTING", "-A POSTROUTING", nil, 0},
		{"the largest counter", "-A P -c 18446744073709551615 0 -j X", "-A P -j X", []string{"-j", "X"}, 1<<64 - 1},
		{"a comment with spaces and quotes",
			`-A P -m comment --comment "it\'s \"a\" test #1" -c 3 180 -j MASQUERADE`,
			`-A P -m comment --comment "it\'s \"a\" test #1" -j MASQUERADE`,
			[]string{"-m", "comment", "--comment", `it's "a" test #1`, "-j", "MASQUERADE"}, 3},
		{"a comment that looks like the counters",
			`-A P -m comment --comment "x -c 3 180 -j y" -c 3 180 -j MASQUERADE`,
			`-A P -m comment --comment "x -c 3 180 -j y" -j MASQUERADE`,
			[]string{"-m", "comment", "--comment", "x -c 3 180 -j y", "-j", "MASQUERADE"}, 3},
		{"the comment -c",
			"-A P -m comment --comment -c -c 3 180 -j RETURN",
			"-A P -m comment --comment -c -j RETURN",
			[]string{"-m", "comment", "--comment", "-c", "-j", "RETURN"}, 3},
		{"a target that looks like the counters",
			`-A P -c 3 180 -j LOG --log-prefix "a -c 0 0"`,
			`-A P -j LOG --log-prefix "a -c 0 0"`,
			[]string{"-j", "LOG", "--log-prefix", "a -c 0 0"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseRule(c.line)
			if err != nil {
				t.Fatal(err)
			}
			spec, err := SplitRule(r.Text)
			if r.Text != c.text || !slices.Equal(spec, c.spec) || r.Packets != c.packets {
				t.Errorf("text %q\nspec %q (%v)\npackets %d; want\ntext %q\nspec %q\npackets %d",
					r.Text, spec, err, r.Packets, c.text, c.spec, c.packets)
			}
		})
	}
}

// A line that is no rule is an error.
func TestParseRuleErrors(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", " ", "-A", "A POSTROUTING", "-P POSTROUTING ACCEPT", "-N DOCKER", "# Warning: iptables-legacy tables present",
		`-A P -m comment --comment "no end -c 1 2 -j X`, `-A P \`, "-A P -c 18446744073709551616 0 -j X",
	} {
		if r, err := parseRule(line); err == nil {
			t.Errorf("%q is read as %+v", line, r)
		}
	}
}

// ListRules returns the rules in order, without policies and chains.
func TestListRules(t *testing.T) {
	source := [...]string{IPv4: "10.0.0.1/32", IPv6: "fd00::1/128"}
	nattest.EachProgram(t, func(t *testing.T, program string) {
		tables := openNamed(t, program)
		packets := []int{1, 2, 3}
		if program == "ip6tables-nft" { // it does not write counters (1.8.9)
			packets = []int{0, 0, 0}
		}
		for i, rule := range []string{"-s " + source[tables.Family] + " -j RETURN", `-m comment --comment "a 'b' \"c\"" -j RETURN`} {
			netnstest.Run(t, fmt.Sprintf("%s -t nat -A POSTROUTING -c %d 180 %s", tables.Path, packets[i], rule))
		}
		netnstest.Run(t, tables.Path+" -t nat -N EMPTY")
		netnstest.Run(t, fmt.Sprintf("%[1]s -t nat -N OWN; %[1]s -t nat -A OWN -c %[2]d 180 -j ACCEPT", tables.Path, packets[2]))
		for chain, want := range map[string][]string{
			"POSTROUTING": {fmt.Sprintf("%d -A POSTROUTING -s %s -j RETURN", packets[0], source[tables.Family]), fmt.Sprintf(`%d -A POSTROUTING -m comment --comment "a \'b\' \"c\"" -j RETURN`, packets[1])},
			"OWN":         {fmt.Sprintf("%d -A OWN -j ACCEPT", packets[2])},
			"EMPTY":       nil,
		} {
			rules, err := tables.ListRules(t.Context(), "nat", chain)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rules {
				got = append(got, fmt.Sprint(r.Packets, " ", r.Text))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", chain, d)
			}
		}
		_, err := tables.ListRules(t.Context(), "nat", "NONE")
		if err == nil || !strings.HasPrefix(err.Error(), "list NONE of table nat with "+program+": ") {
			t.Errorf("error %v", err)
		}
	})
}

// Neither the place nor the value of the counters changes which rule a line is.
func FuzzParseRule(f *testing.F) {
	const plain = "-s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"
	odd := []string{plain, "", `-j LOG --log-prefix "x -c 1 2"`, "-m comment --comment -c -j X", "#", `"`, `\`, "-c 1 2", "é\x00\xff"}
	for _, rule := range slices.Concat(nattest.ForeignRules, odd) {
		f.Add(rule, uint64(7), uint64(420))
	}
	f.Fuzz(func(t *testing.T, words string, packets, bytes uint64) {
		line := "-A POSTROUTING " + words
		plain, err := parseRule(line)
		if err != nil || plain.Text != line || strings.Contains(line, "\n") {
			return // no rule, or one with counters already; a line has no line ends
		}
		counters := fmt.Sprintf(" -c %d %d", packets, bytes)
		counted := []string{line + counters}
		if head, target, ok := strings.Cut(line, " -j "); ok && !strings.ContainsAny(line, `"'\`) && !strings.Contains(target, " -c ") {
			counted = append(counted, head+counters+" -j "+target)
		}
		for _, line := range counted {
			r, err := parseRule(line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if r.Text != plain.Text || r.Packets != packets {
				t.Errorf("%q is read as %+v, want %+v with %d packets", line, r, plain, packets)
			}
		}
	})
}

func openNamed(t *testing.T, program string) *Program {
	t.Helper()
	p, err := OpenNamed(program)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
