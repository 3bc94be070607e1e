package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	allowedName  = "at most 63 lower-case letters, digits, dots and dashes, the first a letter or a digit"
	allowedRoot  = "arms, clients, driver, expect, load, name, nat, rounds, seed, server"
	allowedLoad  = "concurrency, pattern, protocol, rate, requests, sync, timeout"
	allowedTime  = "10ms to 900ms (below the 1 s after which the kernel sends a SYN again)"
	allowedPeer  = "IPv4:port of another machine, like 192.0.2.7:9000"
	dockerNAT    = `nat: "nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`
	netnsServer  = "server: a netns lab is closed and reaches no other machine; allowed with driver docker"
	allowedShare = `">=0%" to ">=100%", with at most three decimals`
)

// refused holds that data gives exactly these lines of faults.
func refused(t *testing.T, data string, want ...string) {
	t.Helper()
	s, err := Parse("x.yaml", []byte(data))
	if s != nil {
		t.Errorf("a scenario besides the faults of:\n%s", data)
	}
	if err == nil {
		t.Fatalf("no fault in:\n%s", data)
	}
	if _, ok := errors.AsType[Faults](err); !ok {
		t.Errorf("%T is not Faults", err)
	}
	if d := cmp.Diff(want, strings.Split(err.Error(), "\n")); d != "" {
		t.Errorf("%s\nof:\n%s", d, data)
	}
}

func TestAllFaultsAreToldAtOnceInOrder(t *testing.T) {
	refused(t, `name: Five faults
clients: two
load:
  pattern: lockstep
  requets: 3000
  timeout: 1s
arms:
  - name: a
expect:
  - {arm: b, race: reproduced}
`,
		`x.yaml:1:7: name: "Five faults" is not allowed; allowed: `+allowedName,
		`x.yaml:2:10: clients: "two" is not a whole number; allowed: 1 to 64`,
		`x.yaml:5:3: unknown key "requets" in load; allowed: `+allowedLoad+` (did you mean "requests"?)`,
		`x.yaml:6:12: timeout: 1s is out of range; allowed: `+allowedTime,
		`x.yaml:10:11: arm: "b" is no arm of this scenario; allowed: a`,
	)
}

// Each of these lines stands third, below minimal.
func TestValueThatIsNotAllowedIsToldWithWhatIs(t *testing.T) {
	const number, out = " is not a whole number; allowed: ", " is out of range; allowed: "
	for _, c := range []struct{ line, want string }{
		{"clients: two", `3:10: clients: "two"` + number + "1 to 64"},
		{"clients: 0", `3:10: clients: 0` + out + "1 to 64"},
		{"clients: 65", `3:10: clients: 65` + out + "1 to 64"},
		{"clients: 300", `3:10: clients: 300` + out + "1 to 64"},
		{"clients: -1", `3:10: clients: -1` + out + "1 to 64"},
		{"clients: 2.0", `3:10: clients: "2.0"` + number + "1 to 64"},
		{"clients: 1e1", `3:10: clients: "1e1"` + number + "1 to 64"},
		{"clients: true", `3:10: clients: "true"` + number + "1 to 64"},
		{"clients: '2'", `3:10: clients: "2" in quotes is text, not a whole number; allowed: 1 to 64`},
		{"clients: [2]", `3:10: clients: a list` + number + "1 to 64"},
		{"clients: {a: 2}", `3:10: clients: a mapping` + number + "1 to 64"},
		{"clients:", `3:9: clients: is empty; allowed: 1 to 64`},
		{"clients: ~", `3:10: clients: is empty; allowed: 1 to 64`},
		{"clients: " + strings.Repeat("9", 50), `3:10: clients: ` + strings.Repeat("9", 40) + `...` + out + "1 to 64"},
		{"clients: " + strings.Repeat("é", 50), `3:10: clients: "` + strings.Repeat("é", 20) + `..."` + number + "1 to 64"},
		{"rounds: 1001", `3:9: rounds: 1001` + out + "1 to 1000"},
		{"seed: 0x10", `3:7: seed: "0x10"` + number + "0 to 9223372036854775807"},
		{"seed: 1_000", `3:7: seed: "1_000"` + number + "0 to 9223372036854775807"},
		{"seed: 010", `3:7: seed: "010"` + number + "0 to 9223372036854775807"},
		{"seed: 0o10", `3:7: seed: "0o10"` + number + "0 to 9223372036854775807"},
		{"seed: +1", `3:7: seed: "+1"` + number + "0 to 9223372036854775807"},
		{"seed: -0", `3:7: seed: "-0"` + number + "0 to 9223372036854775807"},
		{"seed: 9223372036854775808", `3:7: seed: 9223372036854775808` + out + "0 to 9223372036854775807"},

		{"driver: podman", `3:9: driver: "podman" is not allowed; allowed: docker, netns`},
		{"driver: Docker", `3:9: driver: "Docker" is not allowed; allowed: docker, netns (did you mean "docker"?)`},
		{"driver: netn", `3:9: driver: "netn" is not allowed; allowed: docker, netns (did you mean "netns"?)`},
		{"driver: [docker]", `3:9: driver: a list is not allowed; allowed: docker, netns`},
		{"nat: nft", `3:6: nat: "nft" is not allowed; allowed: iptables, nftables`},
		{"nat: iptable", `3:6: nat: "iptable" is not allowed; allowed: iptables, nftables (did you mean "iptables"?)`},
		{"nat: true", `3:6: nat: "true" is not allowed; allowed: iptables, nftables`},
		{"nat: {program: iptables}", `3:6: nat: a mapping is not allowed; allowed: iptables, nftables`},
		{"nat:", `3:5: nat: is empty; allowed: iptables, nftables`},
		{"load: {protocol: udp}", `3:18: protocol: "udp" is not allowed; allowed: tcp`},
		{"load: {pattern: locstep}", `3:17: pattern: "locstep" is not allowed; allowed: lockstep, ephemeral (did you mean "lockstep"?)`},
		{"load: {sync: none}", `3:14: sync: "none" is not allowed; allowed: barrier, clock`},
		{"load: {requests: 30001, pattern: x}", `3:18: requests: 30001` + out + `1 to 30000
x.yaml:3:34: pattern: "x" is not allowed; allowed: lockstep, ephemeral`},
		{"load: {pattern: ephemeral, concurrency: 4097}", `3:41: concurrency: 4097` + out + "1 to 4096"},
		{"load: {rate: 0}", `3:14: rate: 0` + out + "max, or 1 to 100000"},
		{"load: {rate: 100001}", `3:14: rate: 100001` + out + "max, or 1 to 100000"},
		{"load: {rate: Max}", `3:14: rate: "Max"` + number + "max, or 1 to 100000"},
		{"load: {timeout: 500}", `3:17: timeout: "500" is not a duration like 500ms; allowed: ` + allowedTime},
		{"load: {timeout: 9ms}", `3:17: timeout: 9ms` + out + allowedTime},
		{"load: {timeout: 900001us}", `3:17: timeout: 900001us` + out + allowedTime},
		{"load: fast", `3:7: load: "fast" is not a mapping; allowed: a mapping of ` + allowedLoad},
		{"load: []", `3:7: load: a list is not a mapping; allowed: a mapping of ` + allowedLoad},
		{"load:", `3:6: load: is empty; allowed: a mapping of ` + allowedLoad},

		{"server: {}", `3:9: address: is missing; allowed: ` + allowedPeer},
		{"server: {address: example.com:80}", `3:19: address: "example.com:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{"server: {address: 192.0.2.7}", `3:19: address: "192.0.2.7" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{`server: {address: "[2001:2::1]:80"}`, `3:19: address: "[2001:2::1]:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{`server: {address: "[::ffff:192.0.2.7]:80"}`, `3:19: address: "[::ffff:192.0.2.7]:80" is not an IPv4 address with a port; allowed: ` + allowedPeer},
		{"server: {address: 192.0.2.7:0}", `3:19: address: "192.0.2.7:0" has port 0; allowed: ` + allowedPeer},
		{"server: {address: 127.0.0.53:80}", `3:19: address: "127.0.0.53:80" is loopback, which no masquerade rule leads to; allowed: ` + allowedPeer},
		{"server: {address: 0.0.0.0:80}", `3:19: address: "0.0.0.0:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 224.0.0.1:80}", `3:19: address: "224.0.0.1:80" is not the address of one machine; allowed: ` + allowedPeer},
		{"server: {address: 255.255.255.255:80}", `3:19: address: "255.255.255.255:80" is not the address of one machine; allowed: ` + allowedPeer},

		{"expect:", `3:8: expect: is empty; allowed: a list of 0 to 96`},
		{"expect: {arm: a}", `3:9: expect: a mapping is not a list; allowed: a list of 0 to 96`},
		{"expect: [a]", `3:10: expect: "a" is not a mapping; allowed: a mapping of arm, race, reduction`},
		{"expect: [{race: absent}]", `3:10: arm: is missing; allowed: the name of an arm`},
		{"expect: [{arm: 1, race: absent}]", `3:16: arm: 1 is not text (put it in quotes); allowed: the name of an arm`},
		{"expect: [{arm: [a], race: absent}]", `3:16: arm: a list is not text; allowed: the name of an arm`},
		{"expect: [{arm: a, race: seen}]", `3:25: race: "seen" is not allowed; allowed: reproduced, absent`},
		{"expect: [{arm: b, reduction: 95%}]", `3:30: reduction: "95%" is not a reduction; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: 0.95}]", `3:30: reduction: "0.95" is not a reduction; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '>=101%'}]", `3:30: reduction: ">=101%" is out of range; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '>=99.9999%'}]", `3:30: reduction: ">=99.9999%" is not a reduction; allowed: ` + allowedShare},
		{"expect: [{arm: b, reduction: '>=-1%'}]", `3:30: reduction: ">=-1%" is not a reduction; allowed: ` + allowedShare},
	} {
		refused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

func TestFieldsThatDoNotGoTogetherAreFaults(t *testing.T) {
	const share = "(they share the 64512 source ports of one address)"
	for _, c := range []struct{ line, want string }{
		{"load: {pattern: ephemeral, sync: clock}", `3:28: sync: belongs to pattern lockstep; the pattern here is ephemeral`},
		{"load: {concurrency: 5}", `3:8: concurrency: belongs to pattern ephemeral; the pattern here is lockstep`},
		{"load: {requests: 20000}", `3:18: 2 clients x 20000 requests are 40000 in one trial; allowed: 32000 ` + share},
		{"clients: 64", `3:10: 64 clients x 3000 requests are 192000 in one trial; allowed: 32000 ` + share},
		{"{clients: 64, load: {requests: 501}}", `3:32: 64 clients x 501 requests are 32064 in one trial; allowed: 32000 ` + share},
		{"expect: [{arm: bb, race: absent}]", `3:16: arm: "bb" is no arm of this scenario; allowed: a, b (did you mean "b"?)`},
		{"expect: [{arm: a, reduction: '>=95%'}]", `3:16: arm: "a" is the baseline; a reduction is measured against it`},
		{"expect: [{arm: b}]", `3:10: expect: claims nothing; allowed: one of race, reduction`},
		{"expect: [{arm: b, race: absent, reduction: '>=1%'}]", `3:33: reduction: stands beside race; allowed: one of race, reduction`},
	} {
		data := minimal + c.line + "\n"
		if strings.HasPrefix(c.line, "{") {
			data = "\n\n" + strings.TrimSuffix(c.line, "}") + ", name: s, arms: [{name: a}]}\n"
		}
		refused(t, data, "x.yaml:"+c.want)
	}
}

func TestWhatTheDriverCannotDoIsAFaultAtItsKey(t *testing.T) {
	for _, c := range []struct{ lines, want string }{
		{"nat: nftables", "3:1: " + dockerNAT},
		{"driver: docker\nnat: 'nftables'", "4:1: " + dockerNAT},
		{"nat: nftables\ndriver: docker", "3:1: " + dockerNAT},
		{"driver: netns\nserver: {address: 192.0.2.7:9000}", "4:1: " + netnsServer},
		{"driver: netns\nnat: iptables\nserver:\n  address: 192.0.2.7:9000", "5:1: " + netnsServer},
		// What stands under the key has a fault of its own besides.
		{"driver: netns\nserver: {address: nowhere}", "4:1: " + netnsServer +
			"\nx.yaml:4:19: address: \"nowhere\" is not an IPv4 address with a port; allowed: " + allowedPeer},
	} {
		refused(t, minimal+c.lines+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

func TestFaultyArmsAreFaults(t *testing.T) {
	const allowed = "; allowed: a list of 1 to 32"
	for _, c := range []struct{ line, want string }{
		{"seed: 1", `1:1: arms: is missing` + allowed},
		{"arms: []", `2:7: arms: is empty` + allowed},
		{"arms:", `2:6: arms: is empty` + allowed},
		{"arms: a", `2:7: arms: "a" is not a list` + allowed},
		{"arms: [{}]", `2:8: name: is missing; allowed: ` + allowedName},
		{"arms: [{name: 1}]", `2:15: name: 1 is not text (put it in quotes); allowed: ` + allowedName},
		{"arms: [{name: true}]", `2:15: name: true is not text (put it in quotes); allowed: ` + allowedName},
		{"arms: [{name: ''}]", `2:15: name: "" is not allowed; allowed: ` + allowedName},
		{"arms: [{name: -a}]", `2:15: name: "-a" is not allowed; allowed: ` + allowedName},
		{"arms: [{name: a/b}]", `2:15: name: "a/b" is not allowed; allowed: ` + allowedName},
		{`arms: [{name: "a\n"}]`, `2:15: name: "a\n" is not allowed; allowed: ` + allowedName},
		{"arms: [{name: " + strings.Repeat("a", 64) + "}]", `2:15: name: "` + strings.Repeat("a", 40) + `..." is not allowed; allowed: ` + allowedName},
		{"arms: [{name: a}, {name: b}, {name: a}]", `2:37: name: "a" is the arm at line 2 already; allowed: a name of its own`},
		{"arms: [{name: a, nam: b}]", `2:18: unknown key "nam" in arms; allowed: masquerade, name (did you mean "name"?)`},
		{"arms: [{name: a, masquerade: true}]", `2:30: masquerade: "true" is not a mapping; allowed: a mapping of random, random_fully`},
		{"arms: [{name: a, masquerade: {random: yes}}]", `2:39: random: "yes" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: on}}]", `2:39: random: "on" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: True}}]", `2:39: random: "True" is not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random: 'true'}}]", `2:39: random: "true" in quotes is text, not a boolean; allowed: true, false`},
		{"arms: [{name: a, masquerade: {random-fully: true}}]", `2:31: unknown key "random-fully" in masquerade; allowed: random, random_fully (did you mean "random_fully"?)`},
		{"arms: [{name: a, masquerade: {random: true, random_fully: true}}]", `2:30: masquerade: random and random_fully are both true; allowed: at most one of them`},
	} {
		refused(t, "name: s\n"+c.line+"\n", "x.yaml:"+c.want)
	}
}

func TestOneMistakeIsOneFault(t *testing.T) {
	// Expectations name arms whose own faults are told already.
	refused(t, "name: s\narms: [{name: A}, {name: b}]\nexpect: [{arm: A, race: absent}]\n",
		`x.yaml:2:15: name: "A" is not allowed; allowed: `+allowedName)
	refused(t, "name: s\narms: [{name: [a]}]\nexpect: [{arm: a, race: absent}]\n",
		`x.yaml:2:15: name: a list is not text; allowed: `+allowedName)
	refused(t, "name: s\narms: 3\nexpect: [{arm: a, race: absent}]\n",
		`x.yaml:2:7: arms: "3" is not a list; allowed: a list of 1 to 32`)
	// What the driver, or nat, is meant to be is not known.
	refused(t, minimal+"driver: nets\nnat: nftables\nserver: {address: 192.0.2.7:9000}\n",
		`x.yaml:3:9: driver: "nets" is not allowed; allowed: docker, netns (did you mean "netns"?)`)
	refused(t, minimal+"nat: !x nftables\n", `x.yaml:3:6: nat: tags are not allowed`)
	refused(t, minimal+"driver: netns\nserver:\n",
		`x.yaml:4:8: server: is empty; allowed: a mapping of address`)
	// The pattern and the number of requests are not known.
	refused(t, minimal+"load: {pattern: x, sync: clock, concurrency: 3}\n",
		`x.yaml:3:17: pattern: "x" is not allowed; allowed: lockstep, ephemeral`)
	refused(t, minimal+"clients: 64\nload: {requests: x}\n",
		`x.yaml:4:18: requests: "x" is not a whole number; allowed: 1 to 30000`)
	refused(t, minimal+"clients: 64\nload: 3\n",
		`x.yaml:4:7: load: "3" is not a mapping; allowed: a mapping of `+allowedLoad)
}

func TestKeysAreStrict(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"round: 3", `3:1: unknown key "round" in scenario; allowed: ` + allowedRoot + ` (did you mean "rounds"?)`},
		{"laod: {}", `3:1: unknown key "laod" in scenario; allowed: ` + allowedRoot + ` (did you mean "load"?)`},
		{"Name: x", `3:1: unknown key "Name" in scenario; allowed: ` + allowedRoot + ` (did you mean "name"?)`},
		{"topology: x", `3:1: unknown key "topology" in scenario; allowed: ` + allowedRoot},
		{"12: x", `3:1: unknown key "12" in scenario; allowed: ` + allowedRoot},
		{"~: x", `3:1: unknown key "~" in scenario; allowed: ` + allowedRoot},
		{strings.Repeat("k", 100) + ": x", `3:1: unknown key "` + strings.Repeat("k", 40) + `..." in scenario; allowed: ` + allowedRoot},
		{"[name]: x", `3:1: a list is not a key; allowed: ` + allowedRoot},
		{"? {a: b}\n: x", `3:3: a mapping is not a key; allowed: ` + allowedRoot},
		{"name: t", `3:1: key "name" is already at line 1`},
		{"seed: 1\nrounds: 3\nseed: 1", `5:1: key "seed" is already at line 3`},
		{"x: 1\nx: 2", "3:1: unknown key \"x\" in scenario; allowed: " + allowedRoot + "\nx.yaml:4:1: key \"x\" is already at line 3"},
	} {
		refused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

func TestWhatYAMLAddsIsNotAllowed(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"seed: &s 3", `3:7: seed: anchors are not allowed`},
		{"seed: &s 3\nrounds: *s", "3:7: seed: anchors are not allowed\nx.yaml:4:9: rounds: aliases are not allowed"},
		{"&k seed: 3", `3:1: anchors are not allowed`},
		{"seed: &s 3\n*s : 4", "3:7: seed: anchors are not allowed\nx.yaml:4:1: aliases are not allowed"},
		{"load: &l {}\n<<: *l", "3:7: load: anchors are not allowed\nx.yaml:4:1: merge keys are not allowed"},
		{"<<: {seed: 3}", `3:1: merge keys are not allowed`},
		{"seed: *s", `1:1: YAML: unknown anchor 's' referenced; aliases are not allowed`},
		{"driver: !!binary ZG9ja2Vy", `3:9: driver: tags are not allowed`},
		{"driver: !foo docker", `3:9: driver: tags are not allowed`},
		{"driver: !!str docker", `3:9: driver: tags are not allowed`},
		{"seed: !!int '3'", `3:7: seed: tags are not allowed`},
		{"load: !!map {}", `3:7: load: tags are not allowed`},
		{"!foo seed: 3", `3:1: tags are not allowed`},
	} {
		refused(t, minimal+c.line+"\n", strings.Split("x.yaml:"+c.want, "\n")...)
	}
}

func TestFileIsOneMapping(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", `1:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"# only a comment\n", `1:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"\n---\n", `3:1: scenario: is empty; allowed: a mapping of ` + allowedRoot},
		{"- name: s\n", `1:1: scenario: a list is not a mapping; allowed: a mapping of ` + allowedRoot},
		{"name\n", `1:1: scenario: "name" is not a mapping; allowed: a mapping of ` + allowedRoot},
		{minimal + "---\n" + minimal, `3:1: a second document begins; allowed: one in a file`},
		{minimal + "---\na: [\n", `5:1: YAML: did not find expected node content`},
	} {
		refused(t, c.data, "x.yaml:"+c.want)
	}
	parse(t, "---\n"+minimal+"...\n")
}

func TestSyntaxErrorsHaveTheirLine(t *testing.T) {
	const noKey, quotes = "YAML: did not find expected key", ` (text that begins with ">" needs quotes: ">=95%")`
	for _, c := range []struct{ lines, want string }{
		{"load:\n  requests: 1\n rate: max", `5:1: ` + noKey},
		{"load:\n\trequests: 3", `4:1: YAML: found character that cannot start any token`},
		{"- b", `3:1: ` + noKey},
		{"load: a: b", `3:1: YAML: mapping values are not allowed in this context`},
		{"load: {rate: max", `3:1: YAML: did not find expected ',' or '}'`},
		{"expect:\n  - {arm: b, reduction: >=95%}", `4:1: YAML: found character that cannot start any token` + quotes},
		{"expect:\n  - arm: b\n    reduction: >=95%", `5:1: YAML: did not find expected comment or line break` + quotes},
	} {
		refused(t, minimal+c.lines+"\n", "x.yaml:"+c.want)
	}
	refused(t, "a: \x01", "x.yaml:1:1: YAML: control characters are not allowed")
}

func TestAliasBombIsRefusedInLittleMemory(t *testing.T) {
	bomb := "name: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
	for c := 'b'; c <= 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 8), c-1)
	}
	bomb += "arms: *z\n"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Parse("x.yaml", []byte(bomb))
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
	if err == nil || !strings.Contains(err.Error(), "x.yaml:27:7: arms: aliases are not allowed") {
		t.Error(err)
	}
	// An anchor that holds itself.
	refused(t, "name: s\narms: &a [*a]\n",
		"x.yaml:2:7: arms: anchors are not allowed", "x.yaml:2:11: arms: aliases are not allowed")
}

func TestTooManyAreOneFaultNotMany(t *testing.T) {
	refused(t, "name: s\narms:\n"+strings.Repeat("  - {nam: Z}\n", 10_000),
		"x.yaml:3:3: arms: has 10000 entries; allowed: a list of 1 to 32")
	refused(t, minimal+"expect:\n"+strings.Repeat("  - {arm: Z}\n", 97),
		"x.yaml:4:3: expect: has 97 entries; allowed: a list of 0 to 96")
}

func TestFaultsThatFillAPageAreCounted(t *testing.T) {
	_, err := Parse("x.yaml", []byte(minimal+strings.Repeat("seed: 1\n", 1001)))
	faults, _ := errors.AsType[Faults](err)
	if len(faults) != maxFaults {
		t.Fatalf("%d faults", len(faults))
	}
	if got, want := faults[maxFaults-1].String(), "x.yaml:103:1: and 901 more faults from here on"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFileLargerThanTheLimitIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "huge.yaml")
	fill := func(size int) {
		data := minimal + strings.Repeat("#", size-len(minimal)-1) + "\n"
		if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(MaxBytes)
	if _, err := Read(file); err != nil {
		t.Errorf("1 MiB: %v", err)
	}
	fill(MaxBytes + 1)
	_, err := Read(file)
	want := Faults{{File: file, Line: 1, Column: 1, Message: "larger than 1 MiB"}}
	if got, _ := errors.AsType[Faults](err); !cmp.Equal(want, got) {
		t.Errorf("got %v", err)
	}
	fill(8 * MaxBytes)
	if _, err := Read(file); err == nil || err.Error() != want.Error() {
		t.Errorf("got %v", err)
	}
}

func TestFileThatCannotBeReadIsNotAFault(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "absent.yaml"), dir} {
		_, err := Read(path)
		if err == nil {
			t.Fatalf("%s was read", path)
		}
		if _, ok := errors.AsType[Faults](err); ok || !strings.Contains(err.Error(), path) {
			t.Errorf("%T: %v", err, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "absent.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}
