package main

import (
	"slices"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// rangesAndPools compares the clients' own ports with ranges that contain them or not,
// with several addresses, and with split ports.
const rangesAndPools = `
name: ranges
driver: netns
load: {requests: 200, timeout: 200ms}
rounds: 2
until: {rounds_max: 2}
arms:
  - name: plain
  - {name: inside, masquerade: {to_ports: 32768-65535}}
  - {name: outside, masquerade: {to_ports: 49152-65535}}
  - {name: pool, snat: {to_source: [198.19.0.1, 198.19.0.2, 198.19.0.3]}}
  - {name: split, client_ports: split}
`

// A run records the source ports and addresses of its connections.
func TestRunRecordsPorts(t *testing.T) {
	needNamespaces(t)
	p := startAsUser(t, rangesAndPools, "--force")
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	r := p.result(t)
	if c := r.Scenario.ClientPorts; c == nil || c.First != 32768 || c.Last != 32967 {
		t.Errorf("the slots used %+v, want the first 200 ports of the default range", c)
	}
	for _, a := range r.Arms {
		if c := a.ClientPorts; c == nil || c.First != 32768 || c.Last > 60999 {
			t.Errorf("%s: the clients used %+v", a.Name, c)
		}
		checkSources(t, a)
	}
	warned := func(arm, text string) bool {
		return slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.HasPrefix(w, arm+": "+text) })
	}
	for arm, want := range map[string]bool{"plain": false, "inside": false, "outside": true, "pool": false, "split": false} {
		if got := warned(arm, "to_ports "); got != want {
			t.Errorf("%s: warned of ports that are left out: %v, want %v in %q", arm, got, want, r.Warnings)
		}
	}
	if pool := r.Arms[3]; (len(pool.Sources) == 1) != warned("pool", "all connections left from ") {
		t.Errorf("connections left the pool from %v, and the warnings are %q", pool.Sources, r.Warnings)
	}
}

// checkSources checks that every connection reached the server from an address that
// the arm translates to.
func checkSources(t *testing.T, a result.Arm) {
	t.Helper()
	own := a.ToSource
	if own == nil {
		own = []string{"198.18.1.1"} // the router's
	}
	seen, accepted := 0, uint64(0)
	for _, s := range a.Sources {
		if !slices.Contains(own, s.Address) {
			t.Errorf("%s: %d connections came from %s", a.Name, s.Connections, s.Address)
		}
		seen += s.Connections
	}
	for _, trial := range a.Trials {
		accepted += trial.Server.Accepted
	}
	if uint64(seen) != accepted || seen == 0 {
		t.Errorf("%s: %d connections by address, %d accepted", a.Name, seen, accepted)
	}
}

// Clients that share an address by blocks of ports leave from their blocks alone, and fail
// only as often as their blocks are too small. The result says how large these are.
func TestRunBlocks(t *testing.T) {
	needNamespaces(t)
	for name, lab := range map[string]string{
		"nftables": "nat: nftables", "iptables": "nat: iptables", "ipv6": "lab: {family: ipv6}",
	} {
		t.Run(name, func(t *testing.T) {
			to := map[bool]string{true: "2001:2:0:ffff::1", false: "198.19.0.1"}[name == "ipv6"]
			p := startAsUser(t, `
name: blocks
driver: netns
clients: 3
`+lab+`
load: {requests: 200, timeout: 200ms, hold: 1m}
rounds: 2
until: {rounds_max: 2}
arms:
  - name: plain
  - {name: large, snat: {to_source: ["`+to+`"], ports_per_client: 300}}
  - {name: small, snat: {to_source: ["`+to+`"], to_ports: 2000-2099, ports_per_client: 16}}
`, "--force")
			if code := p.wait(t); code != exitPass && code != exitInconclusive {
				t.Fatalf("exit code %d\n%s", code, p.said(t))
			}
			for _, a := range p.result(t).Arms[1:] {
				want := map[string]result.Ports{"large": {First: 1024, Last: 1923}, "small": {First: 2000, Last: 2047}}[a.Name]
				if a.ToPorts == nil || *a.ToPorts != want || a.PortsPerClient != int(want.Last-want.First+1)/3 || a.LeftOutPorts() != nil {
					t.Errorf("%s: %d ports for each client of %v, %v of the clients' left out", a.Name, a.PortsPerClient, a.ToPorts, a.LeftOutPorts())
				}
				all, below := a.SourcePorts.CountOutside(result.CommonPorts)
				if all != a.SourcePorts.Connections || below != all {
					t.Errorf("%s: %d of %d connections left from low ports", a.Name, below, a.SourcePorts.Connections)
				}
				checkBlockCauses(t, a)
			}
		})
	}
}

// checkBlockCauses checks that failures are those for which the clients' blocks have no
// port: each port of a block is held until its trial ends.
func checkBlockCauses(t *testing.T, a result.Arm) {
	t.Helper()
	for _, trial := range a.Trials {
		few := max(0, trial.Requests-3*a.PortsPerClient)
		if trial.Failed < few || trial.Causes[result.PortExhaustion] > few {
			t.Errorf("%s: of %d requests %d failed: %v; %d found no port", a.Name, trial.Requests, trial.Failed, trial.Causes, few)
		}
		sum := 0
		for _, n := range trial.Causes {
			sum += n
		}
		if sum != trial.Failed {
			t.Errorf("%s: %d failed, and the causes are %v", a.Name, trial.Failed, trial.Causes)
		}
	}
}
