package scenario

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

// The canonical form reads as a person would write it.
func TestCanonical(t *testing.T) {
	t.Parallel()
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
lab: {allow_shared_network: true}
network: bridge
name: "2024"
`)
	const want = `name: "2024"
driver: docker
nat: iptables
clients: 2
network: bridge
server:
  address: 192.0.2.7:9000
lab: {allow_shared_network: true}
load:
  protocol: tcp
  pattern: lockstep
  requests: 7
  rate: 50
  timeout: 250ms
  sync: barrier
rounds: 6
until: {hits: 1100, rounds_max: 60, time_max: 5m}
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

// The canonical form of a lab and its arms reads as a person would write it.
func TestCanonicalArms(t *testing.T) {
	t.Parallel()
	s := parse(t, `
name: s
expect: [{arm: b, p99: <=20.50%}, {arm: b, p50: '<= 300%'}, {arm: a, unexplained: <=0.1%}]
load: {pattern: ephemeral}
lab: {allow_shared_network: true, allow_host_sysctls: true, postrouting_rules: 5000}
arms:
- {name: a, client_port_range: "32768-32783"}
- {name: b, masquerade: {to_ports: 20000-29999, random: true}}
- name: c
  snat:
    random_fully: true
    to_source:
    - 198.19.0.1
    - 198.19.0.2
  client_ports: split
- name: d
  sysctls:
    clients: {net.ipv4.tcp_timestamps: '0'}
    server: {}
    router: {net.ipv4.ip_local_reserved_ports: '8080,9148', net.ipv4.ip_local_port_range: 1024  65535, net.x.y: '010'}
`)
	const want = `name: s
driver: docker
nat: iptables
clients: 2
lab: {postrouting_rules: 5000, allow_host_sysctls: true, allow_shared_network: true}
load:
  protocol: tcp
  pattern: ephemeral
  requests: 3000
  rate: max
  timeout: 500ms
  concurrency: 64
rounds: 12
arms:
  - name: a
    client_port_range: 32768-32783
  - name: b
    masquerade: {random: true, to_ports: 20000-29999}
  - name: c
    snat: {to_source: [198.19.0.1, 198.19.0.2], random_fully: true}
    client_ports: split
  - name: d
    sysctls:
      router: {net.ipv4.ip_local_reserved_ports: '8080,9148', net.ipv4.ip_local_port_range: 1024  65535, net.x.y: "010"}
      clients: {net.ipv4.tcp_timestamps: 0}
expect:
  - {arm: b, p99: "<=20.5%"}
  - {arm: b, p50: "<=300%"}
  - {arm: a, unexplained: "<=0.1%"}
`
	if d := cmp.Diff(want, string(s.Canonical())); d != "" {
		t.Error(d)
	}
	if d := diff(s, parse(t, string(s.Canonical()))); d != "" {
		t.Error(d)
	}
}

// The canonical form parses to an equal scenario.
func TestCanonicalRoundTrip(t *testing.T) {
	t.Parallel()
	for _, lines := range []string{
		"",
		"load: {pattern: ephemeral, concurrency: 7, rate: 3}\n",
		"load: {sync: clock, rate: max, timeout: 10.000001ms}\n",
		"load: {hold: 200ms}\nexpect: [{arm: b, port_exhaustion: '>=40%'}]\n", "load: {pattern: ephemeral, close: fin-server}\n",
		"driver: netns\nlab: {conntrack_max: 300}\nexpect: [{arm: b, table_full: '>=40%'}]\n",
		"server: {address: 192.0.2.1:1}\nseed: 0\n",
		"server: {accept_source_ports: 32768-65535}\nexpect: [{arm: b, filtered: '>=40%'}]\n",
		"driver: netns\n", "driver: netns\nnat: iptables\n", "nat: iptables\n", "lab: {postrouting_rules: 0}\n",
		"network: '1.0'\nlab: {allow_shared_network: true}\n",
		"expect: []\n",
		"expect: [{arm: a, race: absent}, {arm: b, reduction: '>=0%'}]\n",
		"expect: [{arm: b, reduction: '>=99.999%'}]\n",
		"expect: [{arm: b, reduction: '>=57%'}]\n", "expect: [{arm: b, reduction: '>=0.001%'}]\n", "expect: [{arm: b, reduction: '>=99.9%'}]\n",
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

// The hash depends on the meaning of a scenario, and not on its text.
func TestHash(t *testing.T) {
	t.Parallel()
	hash := parse(t, minimal).Hash()
	if !regexp.MustCompile(`^sha256:[0-9a-f]{12}$`).MatchString(hash) {
		t.Errorf("hash %q", hash)
	}
	for _, same := range []string{
		"# comment\n" + minimal,
		"arms:\n  - name: a # the baseline\n  - {name: 'b', masquerade: {}}\n\nname: \"s\"\n",
		minimal + "load: {timeout: 0.5s, sync: barrier}\nlab: {postrouting_rules: 1000}\nuntil: {hits: 1100, rounds_max: 60, time_max: 300s}\nrounds: 6\nexpect: []\n",
		string(parse(t, minimal).Canonical()),
	} {
		if got := parse(t, same).Hash(); got != hash {
			t.Errorf("%s, want %s, of:\n%s", got, hash, same)
		}
	}
	seen := map[string]string{hash: "minimal"}
	others := []string{"rounds: 9\n", "until: {hits: 9}\n", "until: {rounds_max: 9}\n", "until: {time_max: 9s}\n", "seed: 1\n", "seed: 2\n", "clients: 3\n", "load: {rate: 1}\n", "load: {sync: clock}\n",
		"lab: {postrouting_rules: 0}\n", "lab: {postrouting_rules: 1}\n", "lab: {allow_host_sysctls: true}\n", "lab: {allow_shared_network: true}\n",
		"network: bridge\nlab: {allow_shared_network: true}\n", "network: shop\nlab: {allow_shared_network: true}\n",
		"expect: [{arm: b, p50: <=1%}]\n", "expect: [{arm: b, p99: <=1%}]\n", "expect: [{arm: b, unexplained: <=1%}]\n"}
	for _, other := range others {
		got := parse(t, minimal+other).Hash()
		if seen[got] != "" {
			t.Errorf("%q has the hash of %q", other, seen[got])
		}
		seen[got] = other
	}
	for _, arm := range []string{"masquerade: {random_fully: true}", "masquerade: {to_ports: 2000-2999}", "masquerade: {to_ports: 2000-2998}",
		"snat: {to_source: [198.19.0.1]}", "snat: {to_source: [198.19.0.2]}", "client_ports: split",
		"sysctls: {server: {net.x: 1}}", "sysctls: {clients: {net.x: 1}}", "sysctls: {clients: {net.x: 2}}",
		"sysctls: {clients: {net.y: 1}}", "sysctls: {clients: {net.x: 1, net.y: 1}}", "sysctls: {clients: {net.y: 1, net.x: 1}}",
	} {
		got := parse(t, "name: s\narms: [{name: a}, {name: b, "+arm+"}]\n").Hash()
		if seen[got] != "" {
			t.Errorf("%q has the hash of %q", arm, seen[got])
		}
		seen[got] = arm
	}
}

// Stored results belong to these scenarios until a hash changes.
func TestHashStays(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"quickstart": "sha256:60e5ae62be67", "docker-masquerade": "sha256:799e1fa91752", "docker-ephemeral": "sha256:cefe036ff72d",
	} {
		s, err := Read("../../scenarios/" + file + ".yaml")
		if err != nil {
			t.Error(err)
		} else if got := s.Hash(); got != want {
			t.Errorf("%s: hash %s, was %s", file, got, want)
		}
	}
}

// The hash is the same for every driver with its default NAT.
func TestHashDrivers(t *testing.T) {
	t.Parallel()
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
	if err := s.SetDriver(result.DriverNetns); err != nil {
		t.Fatal(err)
	}
	if got := s.Hash(); got != hash {
		t.Errorf("%s, with another driver %s", hash, got)
	}
	if !strings.Contains(string(s.Canonical()), "driver: netns\nnat: nftables\n") {
		t.Error("Hash changed the driver")
	}
}

// A NAT that is not the default of the driver changes the hash.
func TestHashNAT(t *testing.T) {
	t.Parallel()
	own, chosen := parse(t, minimal+"driver: netns\n"), parse(t, minimal+"driver: netns\nnat: iptables\n")
	if own.Hash() == chosen.Hash() {
		t.Error("netns has one hash for nftables and for iptables")
	}
	// With docker, iptables is the default. With netns the same text is a choice.
	written := parse(t, minimal+"nat: iptables\n")
	if err := written.SetDriver(result.DriverNetns); err != nil {
		t.Fatal(err)
	}
	if got, want := written.Hash(), chosen.Hash(); got != want {
		t.Errorf("%s by the command line, %s by the file", got, want)
	}
}
