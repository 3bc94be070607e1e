package docker

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	dockernet "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/system"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// bridgesScript writes the table of Docker's nftables backend (29) with a network on the
// bridge of nattest.
const bridgesScript = `nft -f - <<'END'
table ip docker-bridges {
	map nat-postrouting-out-jumps {
		type ifname : verdict
		elements = { "snat-c" : jump nat-postrouting-out__snat-c, "docker0" : jump nat-postrouting-out__docker0 }
	}
	chain nat-postrouting-out__docker0 {
		oifname != "docker0" ip saddr 172.17.0.0/16 counter packets 0 bytes 0 masquerade comment "MASQUERADE"
	}
	chain nat-postrouting-out__snat-c {
		oifname != "snat-c" ip saddr 198.18.0.0/24 counter packets 7 bytes 420 masquerade comment "MASQUERADE"
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		jump nat-postrouting-out__snat-c
		iifname vmap @nat-postrouting-out-jumps
	}
}
END`

// nftablesLab returns a lab on an engine with the nftables backend, as far as its rules.
func nftablesLab(t *testing.T) *dockerLab {
	l := &dockerLab{Base: lab.NewBase(result.DriverDocker, nil),
		host:      &Host{info: system.Info{FirewallBackend: &system.FirewallInfo{Driver: "nftables"}}},
		clientNet: labNetwork{bridge: nattest.Bridge, subnet: nattest.Subnet}}
	l.Journal, _ = nattest.NewJournal(t, effect.Undoers())
	return l
}

// Docker's nftables backend: the rule of the network is found in its chain, an arm and the
// control stand in front of it, and the table is as it was afterwards, to the letter and
// with its counters.
func TestNFTablesBackend(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	netnstest.Run(t, bridgesScript)
	before, text := nattest.ListAllRules(t, true), `oifname != "snat-c" ip saddr 198.18.0.0/24 counter masquerade comment "MASQUERADE"`
	l := nftablesLab(t)
	if p := l.host.checkRules(t.Context()); p.State != machine.Met || p.Found != "table ip docker-bridges" {
		t.Errorf("%+v", p)
	}
	if err := l.findRule(t.Context()); err != nil || l.Found.Text() != text {
		t.Fatalf("%+v, %v", l.Found, err)
	}
	l.Found.Server = snat.ServerAt(nattest.ServerAddress)
	if _, err := l.Found.InsertControl(t.Context(), l.Journal, snat.Connections{Server: snat.ServerAt(nattest.ServerAddress), Ports: snat.PortRange{First: 40_000, Last: 40_009}}); err != nil {
		t.Fatal(err)
	}
	server := netip.AddrPortFrom(nattest.ServerAddress, 9000)
	for _, o := range []snat.Options{{RandomFully: true}, {Random: true}, {ToPorts: nattest.TenPorts}} {
		a, err := l.Found.Apply(t.Context(), l.Journal, o)
		if err != nil {
			t.Fatal(err)
		}
		_, was, _ := a.BothPackets(t.Context())
		nattest.SendSYNs(t, server, 5)
		nattest.SendSYNsFrom(t, 40_000, netip.AddrPortFrom(nattest.ServerAddress, uint16(9001+was)), 3)
		if own, control, err := a.BothPackets(t.Context()); own != 5 || control != was+3 || err != nil {
			t.Errorf("%s: %d and %d packets, %v", a.Text(), own, control-was, err)
		}
		if err := a.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	nattest.CloseJournal(t, l.Journal)
	nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
}

// Other networks come, and the network goes, while an arm is in force: nothing is left.
func TestNFTablesBackendChanges(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	netnstest.Run(t, bridgesScript)
	l := nftablesLab(t)
	if err := l.findRule(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, err := l.Found.Apply(t.Context(), l.Journal, snat.Options{RandomFully: true})
	if err != nil {
		t.Fatal(err)
	}
	netnstest.Run(t, `nft 'add chain ip docker-bridges nat-postrouting-out__br1; add rule ip docker-bridges nat-postrouting-out__br1 oifname != "br1" ip saddr 172.18.0.0/16 counter masquerade'`)
	if _, err := a.Packets(t.Context()); err != nil {
		t.Error(err)
	}
	netnstest.Run(t, `nft 'flush chain ip docker-bridges nat-POSTROUTING; delete element ip docker-bridges nat-postrouting-out-jumps { "snat-c" }; delete chain ip docker-bridges nat-postrouting-out__snat-c'`)
	if _, err := a.Packets(t.Context()); err == nil || !strings.Contains(err.Error(), "is gone, or was written anew") {
		t.Errorf("error %v", err)
	}
	nattest.CloseJournal(t, l.Journal)
	if left := strings.Join(nattest.ListAllRules(t, false), "\n"); strings.Contains(left, "snatlab") {
		t.Errorf("left:\n%s", left)
	}
}

// Where Docker's table has no rule for the network, the error names those that are there.
func TestNFTablesBackendWithoutRule(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	l := nftablesLab(t)
	if p := l.host.checkRules(t.Context()); p.State != machine.Unmet || p.Found != "no rule of table ip docker-bridges translates" {
		t.Errorf("%+v", p)
	}
	netnstest.Run(t, bridgesScript+"\nnft flush chain ip docker-bridges nat-postrouting-out__snat-c")
	want := `in its other chains: "oifname != \"docker0\" ip saddr 172.17.0.0/16 counter masquerade comment \"MASQUERADE\"" of nftables`
	if err := l.findRule(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
}

// On a shared network the rule that translates is found, also if another program than Docker
// wrote it, in any place and of any shape. No arm changes a rule of another program.
func TestSharedNetworkByEffect(t *testing.T) {
	const subnet = "198.19.250.0/24"
	network := dockernet.CreateOptions{IPAM: &dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: subnet}}}, Options: map[string]string{bridgeName: "shop0"}}
	for name, c := range map[string]struct {
		address, script, undo string
		rule                  string
	}{
		"an_address_of_host_ipv4": {address: "198.19.251.1", script: "ip addr add 198.19.251.1/32 dev lo", undo: "ip addr del 198.19.251.1/32 dev lo", rule: "-A POSTROUTING -s 198.19.250.0/24 ! -o shop0 -j SNAT --to-source 198.19.251.1"},
		"an_operators_rule_in_front": {
			script: "iptables -t nat -I POSTROUTING -s " + subnet + " ! -d 10.0.0.0/8 -j MASQUERADE --random-fully",
			undo:   "iptables -t nat -D POSTROUTING -s " + subnet + " ! -d 10.0.0.0/8 -j MASQUERADE --random-fully",
			rule:   "-A POSTROUTING -s 198.19.250.0/24 ! -d 10.0.0.0/8 -j MASQUERADE --random-fully",
		},
		"a_table_of_nftables_in_front": {
			script: "nft 'add table inet shop; add chain inet shop out { type nat hook postrouting priority srcnat - 5; }; add rule inet shop out ip saddr " + subnet + " masquerade'",
			undo:   "nft delete table inet shop",
			rule:   "meta nfproto ipv4 ip saddr 198.19.250.0/24 masquerade",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := realEngine(t)
			options := network
			if c.address != "" {
				options.Options = map[string]string{bridgeName: "shop0", "com.docker.network.host_ipv4": c.address}
			}
			shop := r.makeShared("test-shop", options)
			if c.script != "" {
				readLines(t, "sh", "-c", c.script)
				t.Cleanup(func() { readLines(t, "sh", "-c", c.undo) })
			}
			before := r.state()
			b := r.openOn(shop, 2)
			if b.Found == nil || b.Found.Text() != c.rule {
				t.Fatalf("found %+v, rule %+v", b.Found, b.Rule)
			}
			for _, arm := range []scenario.Arm{{}, {Masquerade: scenario.MasqueradeOptions{RandomFully: true}}, {Masquerade: scenario.MasqueradeOptions{Plain: true}}} {
				rule, err := b.Apply(t.Context(), arm)
				if err != nil {
					t.Fatal(err)
				}
				sendRequests(t, b)
				if packets, err := rule.Packets(t.Context()); packets < 2 || err != nil {
					t.Errorf("%d connections passed %s, %v", packets, rule.Rule(), err)
				}
				if listed := readLines(t, "iptables", "-t", "nat", "-S"); !strings.HasPrefix(c.rule, "meta") && !slices.Contains(listed, c.rule) {
					t.Errorf("%s is gone during the arm: %q", c.rule, listed)
				}
				if err := rule.Undo(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, r.state()); diff != "" {
				t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
			}
		})
	}
}

// Where nothing translates, the error says what was expected, and what was looked at.
func TestSharedNetworkWithoutRule(t *testing.T) {
	r := realEngine(t)
	shop := r.makeShared("test-shop", dockernet.CreateOptions{
		IPAM: &dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: "198.19.250.0/24"}}}, Options: map[string]string{bridgeName: "shop0"}})
	before := r.state()
	readLines(t, "sh", "-c", "iptables -t nat -D POSTROUTING -s 198.19.250.0/24 ! -o shop0 -j MASQUERADE")
	config, _ := r.plan(1)
	config.Network = shop
	_, err := Open(t.Context(), r.Host, config)
	readLines(t, "sh", "-c", "iptables -t nat -I POSTROUTING -s 198.19.250.0/24 ! -o shop0 -j MASQUERADE")
	if _, ok := errors.AsType[*effect.NoRuleError](err); !ok || strings.Contains(err.Error(), "iptables=false") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, r.state()); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
}
