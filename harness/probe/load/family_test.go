package load

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/probe/server"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// loopbacks are the addresses of this machine in each family.
var loopbacks = map[string]netip.Addr{"IPv4": netip.MustParseAddr("127.0.0.1"), "IPv6": netip.IPv6Loopback()}

// guest returns the network of one address alone.
func guest(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }

// A load of each protocol reaches a server of each family: all requests have answers, and
// both sides count them, the arm's and the control's apart. A server that listens on all
// addresses answers from the one that was asked.
func TestFamilies(t *testing.T) {
	const requests = 200
	port := uint16(31_000) // all are below those that a kernel chooses: the server listens on all addresses
	for family, at := range loopbacks {
		for name, load := range map[string]probe.ClientLoad{
			"TCP":                           {},
			"UDP":                           {Protocol: result.UDP},
			"look-ups":                      {Protocol: result.UDP, Lookups: &probe.LookupPart{Threads: 1}},
			"look-ups, reopened":            {Protocol: result.UDP, Lookups: &probe.LookupPart{Threads: 1, Resolver: result.SingleRequestReopen, Reopened: scenario.PortRange{First: 20_000, Last: 24_999}}},
			"look-ups, over TCP":            {Protocol: result.UDP, Lookups: &probe.LookupPart{Threads: 1, Resolver: result.UseVC}},
			"TCP, the kernel chooses ports": {Concurrency: 8},
			"TCP that stays open":           {Concurrency: 8, Hold: time.Millisecond},
		} {
			t.Run(family+", "+name, func(t *testing.T) {
				all := netip.Addr{}
				if at.Is6() {
					all = netip.IPv6Unspecified()
				}
				port += 2
				config := server.Config{Protocol: load.Protocol, DNS: load.Lookups != nil, Address: netip.AddrPortFrom(all, port), Guests: guest(at), Files: 1024}
				load.Server, load.Requests, load.Timeout = netip.AddrPortFrom(at, port), requests, 10*time.Second
				want := uint64(0)
				if load.Concurrency == 0 {
					config.Control, want = port+1, requests
					load.Lockstep = &probe.LockstepPart{Clients: 1, CPUs: 1, Barrier: filepath.Join(t.TempDir(), "barrier"), Epoch: 1, Ports: scenario.PortRange{First: 10_000, Last: 14_999},
						Control: &probe.ControlPart{Server: netip.AddrPortFrom(at, port+1), Every: 1, Ports: scenario.PortRange{First: 15_000, Last: 19_999}}}
				}
				l, err := server.OpenListener(config)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Send(t.Context(), load, []int{0}, 1024, nil)
				if err == nil {
					err = r.CheckAgainst(load)
				}
				ports := 1 // a kernel may choose one again; with a barrier, slots that are made up have their own
				if load.Lockstep != nil {
					ports = requests
				}
				if err != nil || r.Succeeded != requests || probe.CountPorts(r.Ports) < ports {
					t.Errorf("%+v, %v", r, err)
				}
				served, err := l.Finish()
				if err != nil || served.Accepted < requests || served.ControlAccepted != want || served.Strangers != 0 {
					t.Errorf("%+v, %v", served, err)
				}
				for _, from := range served.Sources {
					if from.Address != at {
						t.Errorf("connections from %v", from.Address)
					}
				}
			})
		}
	}
}
