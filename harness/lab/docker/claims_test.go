package docker

import (
	"net/netip"
	"strings"
	"testing"

	dockernet "github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
	"snatlab/harness/scenario"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const choose = " (choose addresses that are free, see `docker network ls`, `ip address` and `ip route show table all`)"

// A taken address is reported with its owner.
func TestCheckAddresses(t *testing.T) {
	netnstest.Enter(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "shop0"}}
	must(t, netlink.LinkAdd(bridge))
	must(t, netlink.LinkSetUp(bridge))
	prefix := func(text string) *netlink.Addr {
		a, err := netlink.ParseAddr(text)
		must(t, err)
		return a
	}
	must(t, netlink.AddrAdd(bridge, prefix("198.18.5.1/24")))
	must(t, netlink.RouteAdd(&netlink.Route{Dst: prefix("198.19.8.0/22").IPNet, LinkIndex: bridge.Index, Scope: netlink.SCOPE_LINK, Table: 77}))
	must(t, netlink.RouteAdd(&netlink.Route{Dst: prefix("198.19.77.0/24").IPNet, Type: unix.RTN_BLACKHOLE, Table: 254}))
	must(t, netlink.RouteAdd(&netlink.Route{Dst: prefix("128.0.0.0/1").IPNet, LinkIndex: bridge.Index, Scope: netlink.SCOPE_LINK})) // half of the default route
	answers := answerInfo(`"Name":"shared"`)
	answers["GET /networks"] = answerWith(`[{"Name":"host","IPAM":{"Config":null}},{"Name":"v6","IPAM":{"Config":[{"Subnet":"2001:2::/48"}]}},
		{"Name":"shop","IPAM":{"Config":[{"Subnet":"2001:db8::/64"},{"Subnet":"198.19.40.64/26"}]}}]`)
	startEngine(t, answers)
	docker, err := connectEngine("")
	must(t, err)
	defer docker.Close()
	h := &Host{docker: docker}
	for _, test := range []struct{ address, want string }{
		{"198.19.40.64", `translate to 198.19.40.64: Docker network "shop" has 198.19.40.64/26` + choose},
		{"198.19.40.127", `translate to 198.19.40.127: Docker network "shop" has 198.19.40.64/26` + choose},
		{"198.19.40.128", ""},
		{"198.18.5.1", "translate to 198.18.5.1: this host has it, on shop0" + choose},
		{"198.18.5.9", "translate to 198.18.5.9: this host has a route to 198.18.5.0/24, in table 254, by shop0" + choose},
		{"198.18.6.1", ""},
		{"198.19.11.255", "translate to 198.19.11.255: this host has a route to 198.19.8.0/22, in table 77, by shop0" + choose},
		{"198.19.12.0", ""},
		{"198.19.77.1", "translate to 198.19.77.1: this host has a route to 198.19.77.0/24, in table 254" + choose},
	} {
		err := h.checkAddresses(t.Context(), []netip.Addr{netip.MustParseAddr("198.19.200.1"), netip.MustParseAddr(test.address)})
		if errorText(err) != test.want {
			t.Errorf("%s: %v\nwant %s", test.address, err, test.want)
		}
	}
	if err := h.checkAddresses(t.Context(), nil); err != nil {
		t.Errorf("no addresses: %v", err)
	}
}

// An arm that translates to a taken address is refused.
func TestArmAddressTaken(t *testing.T) {
	r := realEngine(t)
	name := r.makeShared("test-shop", dockernet.CreateOptions{IPAM: &dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: "198.19.250.0/24"}}}})
	n := r.startNeighbour(name)
	n.serves()
	before := r.state()
	want := "translate to " + n.address.String() + `: Docker network "test-shop" has 198.19.250.0/24` + choose
	t.Run("when the lab is opened", func(t *testing.T) {
		config, _ := r.plan(1)
		config.Arms = []scenario.Arm{{}, {SNAT: scenario.SNATOptions{ToSource: []netip.Addr{netip.MustParseAddr("198.19.200.1"), n.address}}}}
		if l, err := Open(t.Context(), r.Host, config); errorText(err) != want {
			t.Errorf("%v, %v\nwant %s", l, err, want)
		}
	})
	t.Run("since the lab was opened", func(t *testing.T) {
		b := r.open(1)
		defer b.Close(t.Context())
		arm := scenario.Arm{SNAT: scenario.SNATOptions{ToSource: []netip.Addr{n.address}}}
		if rule, err := b.Apply(t.Context(), arm); errorText(err) != want {
			t.Errorf("%v, %v\nwant %s", rule, err, want)
		}
	})
	n.serves()
	if diff := cmp.Diff(before, r.state()); diff != "" {
		t.Errorf("the machine has changed (-before +after):\n%s", diff)
	}
}

// The lab's networks leave out the addresses of the arms, also for their gateways.
func TestSubnetsLeaveOutArms(t *testing.T) {
	r := realEngine(t)
	free, err := r.freeSubnets(t.Context(), 2)
	must(t, err)
	config, _ := r.plan(1)
	arm := scenario.Arm{SNAT: scenario.SNATOptions{ToSource: []netip.Addr{free[0][0].Addr().Next()}}}           // would be a gateway
	server := scenario.Arm{SNAT: scenario.SNATOptions{ToSource: []netip.Addr{free[1][0].Addr().Next().Next()}}} // would be the server
	config.Arms = []scenario.Arm{arm, server}
	opened, err := Open(t.Context(), r.Host, config)
	must(t, err)
	l := opened.(*dockerLab)
	defer l.Close(t.Context())
	for _, a := range l.listArmAddresses() {
		if l.clientNet.subnet.Contains(a) || l.serverNet.subnet.Contains(a) {
			t.Errorf("%v is in %v or %v", a, l.clientNet.subnet, l.serverNet.subnet)
		}
	}
	b := &bench{dockerLab: l}
	rule, err := l.Apply(t.Context(), arm)
	must(t, err)
	sendRequests(t, b)
	if !strings.Contains(rule.Rule(), arm.SNAT.ToSource[0].String()) {
		t.Errorf("the rule is %s", rule.Rule())
	}
	must(t, rule.Undo(t.Context()))
}
