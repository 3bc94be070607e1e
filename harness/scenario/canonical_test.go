package scenario

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCanonicalReadsAsAPersonWouldWriteIt(t *testing.T) {
	s := parse(t, `
expect: [{reduction: ">= 95.0 %", arm: random-fully}, {arm: "12", race: absent}]
arms:
- {name: masquerade, masquerade: {random: false}}
- name: random-fully
  masquerade:
    random_fully: true
- name: "12"
load: {timeout: 0.25s, rate: 50, requests: 7}
server:
  address: 192.0.2.7:9000
name: "2024"
`)
	const want = `name: "2024"
driver: docker
nat: iptables
clients: 2
server:
  address: 192.0.2.7:9000
load:
  protocol: tcp
  pattern: lockstep
  requests: 7
  rate: 50
  timeout: 250ms
  sync: barrier
rounds: 8
seed: 1
arms:
  - name: masquerade
  - name: random-fully
    masquerade: {random_fully: true}
  - name: "12"
expect:
  - {arm: random-fully, reduction: ">=95%"}
  - {arm: "12", race: absent}
`
	if d := cmp.Diff(want, string(s.Canonical())); d != "" {
		t.Error(d)
	}
}

func TestCanonicalParsesToAnEqualScenario(t *testing.T) {
	for _, lines := range []string{
		"",
		"load: {pattern: ephemeral, concurrency: 7, rate: 3}\n",
		"load: {sync: clock, rate: max, timeout: 10.000001ms}\n",
		"server: {address: 192.0.2.1:1}\nseed: 0\n",
		"driver: netns\n", "driver: netns\nnat: iptables\n", "nat: iptables\n",
		"expect: []\n",
		"expect: [{arm: a, race: absent}, {arm: b, reduction: '>=0%'}, {arm: b, reduction: '>=99.999%'}]\n",
		"expect: [{arm: b, reduction: '>=57%'}, {arm: b, reduction: '>=0.001%'}, {arm: b, reduction: '>=99.9%'}]\n",
	} {
		first := parse(t, minimal+lines)
		second := parse(t, string(first.Canonical()))
		if d := diff(first, second); d != "" {
			t.Errorf("%s%s", lines, d)
		}
	}
	for _, name := range []string{"true", "null", "1", "1.5", "1e3", "0x10", "0b1", "yes", "on", "n", "2001-01-01", "a.b-"} {
		s := parse(t, `{name: "`+name+`", arms: [{name: "`+name+`"}], expect: [{arm: "`+name+`", race: absent}]}`)
		if d := diff(s, parse(t, string(s.Canonical()))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestHashIsOfTheMeaningNotOfTheText(t *testing.T) {
	hash := parse(t, minimal).Hash()
	if !regexp.MustCompile(`^sha256:[0-9a-f]{12}$`).MatchString(hash) {
		t.Errorf("hash %q", hash)
	}
	for _, same := range []string{
		"# comment\n" + minimal,
		"arms:\n  - name: a # the baseline\n  - {name: 'b', masquerade: {}}\n\nname: \"s\"\n",
		minimal + "load: {timeout: 0.5s, sync: barrier}\nseed: 1\nexpect: []\n",
		string(parse(t, minimal).Canonical()),
	} {
		if got := parse(t, same).Hash(); got != hash {
			t.Errorf("%s, want %s, of:\n%s", got, hash, same)
		}
	}
	seen := map[string]string{hash: "minimal"}
	for _, other := range []string{"rounds: 9\n", "seed: 2\n", "clients: 3\n", "load: {rate: 1}\n", "load: {sync: clock}\n"} {
		got := parse(t, minimal+other).Hash()
		if seen[got] != "" {
			t.Errorf("%q has the hash of %q", other, seen[got])
		}
		seen[got] = other
	}
}

func TestHashIsTheSameForEveryDriverWithItsOwnNAT(t *testing.T) {
	s := parse(t, minimal)
	hash := s.Hash()
	for _, lines := range []string{
		"driver: docker\n", "driver: docker\nnat: iptables\n", "nat: iptables\n",
		"driver: netns\n", "driver: netns\nnat: nftables\n",
	} {
		if got := parse(t, minimal+lines).Hash(); got != hash {
			t.Errorf("%s, with %q %s", hash, lines, got)
		}
	}
	if err := s.SetDriver(Netns); err != nil {
		t.Fatal(err)
	}
	if got := s.Hash(); got != hash {
		t.Errorf("%s, with another driver %s", hash, got)
	}
	if !strings.Contains(string(s.Canonical()), "driver: netns\nnat: nftables\n") {
		t.Error("taking the hash took the driver away")
	}
}

func TestHashTellsTheNATThatIsNotTheDriversOwn(t *testing.T) {
	own, chosen := parse(t, minimal+"driver: netns\n"), parse(t, minimal+"driver: netns\nnat: iptables\n")
	if own.Hash() == chosen.Hash() {
		t.Error("netns has one hash for nftables and for iptables")
	}
	// The same text, iptables: what docker does anyway is a choice with netns.
	written := parse(t, minimal+"nat: iptables\n")
	if err := written.SetDriver(Netns); err != nil {
		t.Fatal(err)
	}
	if got, want := written.Hash(), chosen.Hash(); got != want {
		t.Errorf("%s by the command line, %s by the file", got, want)
	}
}
