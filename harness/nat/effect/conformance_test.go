package effect

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// counterValues matches what changes in a listing with every connection.
var counterValues = regexp.MustCompile(`packets \d+ bytes \d+|^\[\d+:\d+\] `)

// The rule is found by what it does. The search leaves every rule in its place.
func TestFind(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		before, j := listRules(t), newJournal(t)
		r := findRules(t, j)
		if len(r.Found) != 1 {
			t.Fatalf("%+v", r.Found)
		}
		f := r.Found[0].Rule
		if f.Program != s.program || f.Place != s.place || f.Text != s.text || f.Options != s.options || (f.Packets != nil) != s.counted {
			t.Errorf("found %+v", f)
		}
		if r.DrawsPorts() != (s.options.RandomFully) {
			t.Errorf("draws ports: %v", r.DrawsPorts())
		}
		if steps := j.Steps(); len(steps) > 0 && !s.podmans {
			t.Errorf("the search left %+v", steps)
		}
		nattest.CloseJournal(t, j)
		nattest.CheckUnchanged(t, before, listRules(t))
	})
}

// A rule of an arm stands in front of the found rule and takes all its connections. After
// it every rule stands in its place, and is the rule that it was.
func TestApply(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		j := newJournal(t)
		r := findRules(t, j)
		before := listRules(t)
		for o, action := range s.action {
			a := applyArm(t, r, j, o)
			if strings.Contains(s.place, "inet") && !s.podmans {
				action = strings.Replace(action, "snat to", "snat ip to", 1)
			}
			if a.Text() != s.before+action {
				t.Errorf("the arm's rule is %q, want %q", a.Text(), s.before+action)
			}
			if shown := strings.Join(nattest.ListAllRules(t, false), "\n"); s.program == "nftables" && !strings.Contains(counterValues.ReplaceAllString(shown, ""), strings.ReplaceAll(a.Text(), "counter ", "counter  ")) {
				t.Errorf("nft does not show %q in\n%s", a.Text(), shown)
			}
			send(t, 6)
			checkPackets(t, a, 6, 0)
			if err := a.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
			nattest.CheckUnchanged(t, before, listRules(t))
		}
	})
}

// Without options the found rule translates, and is counted even if it has no counter.
func TestApplyNothing(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		j := newJournal(t)
		r := findRules(t, j)
		before := listRules(t)
		a := applyArm(t, r, j, snat.Options{})
		if a.Text() != s.text {
			t.Errorf("%q", a.Text())
		}
		if s.counted {
			nattest.CheckUnchanged(t, before, listRules(t))
		}
		send(t, 4)
		checkPackets(t, a, 4, 0)
		if err := a.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
		nattest.CheckUnchanged(t, before, listRules(t))
	})
}

// Connections of the control pass its rule, whatever the arm is, and keep their ports.
func TestControl(t *testing.T) {
	eachShape(t, func(t *testing.T, s shape) {
		before, j := listRules(t), newJournal(t)
		r := findRules(t, j)
		if _, err := r.InsertControl(t.Context(), j, snat.Connections{Server: snat.ServerAt(nattest.ServerAddress), Ports: snat.PortRange{First: 40_000, Last: 40_099}}); err != nil {
			t.Fatal(err)
		}
		server := netip.AddrPortFrom(nattest.ServerAddress, 9001)
		from, sum := uint16(40_000), uint64(0)
		for _, o := range []snat.Options{{}, drawn, plain} {
			a := applyArm(t, r, j, o)
			nattest.SendSYNsFrom(t, from, server, 7)
			nattest.SendSYNsFrom(t, from+1000, server, 3)
			from, sum = from+10, sum+7
			checkPackets(t, a, 3, sum)
			if err := a.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for at, n := range nattest.TranslatedSources(t, server) {
			if at.Port() >= 40_000 && at.Port() < 40_030 && n == 1 {
				sum--
			}
		}
		if sum > 0 {
			t.Errorf("%d connections of the control lost their ports", sum)
		}
		nattest.CloseJournal(t, j)
		nattest.CheckUnchanged(t, before, listRules(t))
	})
}

// After a crash another process removes the rules, and so do the commands that are
// printed.
func TestCrash(t *testing.T) {
	for name, undoIt := range map[string]func(*testing.T, []undo.Step){
		"by_the_journal": func(t *testing.T, steps []undo.Step) {
			for range 2 {
				if err := Undoers().UndoAll(t.Context(), steps); err != nil {
					t.Error(err)
				}
			}
		},
		"by_hand": func(t *testing.T, steps []undo.Step) {
			for _, s := range steps {
				netnstest.Run(t, "set -e\n"+s.Manual)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachShape(t, func(t *testing.T, s shape) {
				before, j := listRules(t), newJournal(t)
				r := findRules(t, j)
				if _, err := r.InsertControl(t.Context(), j, snat.Connections{Server: snat.ServerAt(nattest.ServerAddress), UDP: true, Ports: snat.PortRange{First: 40_000, Last: 40_099}}); err != nil {
					t.Fatal(err)
				}
				for o := range s.action {
					applyArm(t, r, j, o) // and never undone
					break
				}
				undoIt(t, j.Steps())
				nattest.CheckUnchanged(t, before, listRules(t))
			})
		})
	}
}

// The owner writes its rules anew, removes them, or puts one in front: that is noticed, and
// nothing is left.
func TestOwnerRewrites(t *testing.T) {
	const script = `iptables-nft -t nat -N CNI; iptables-nft -t nat -A POSTROUTING -j CNI; iptables-nft -t nat -A CNI -s 198.18.0.0/24 -j MASQUERADE`
	for name, c := range map[string]struct{ script, want string }{
		"anew":     {"iptables-nft -t nat -F CNI; iptables-nft -t nat -A CNI -s 198.18.0.0/24 -j MASQUERADE", "is gone, or was written anew"},
		"removed":  {"iptables-nft -t nat -F POSTROUTING; iptables-nft -t nat -F CNI; iptables-nft -t nat -X CNI", "is gone, or was written anew"},
		"ours":     {"iptables-nft -t nat -D CNI 1", "the rule of the arm, \"-A CNI -s 198.18.0.1/32 -d 192.0.2.9/32 -j MASQUERADE --random-fully\", is gone"},
		"in_front": {"iptables-nft -t nat -F CNI; iptables-nft -t nat -A CNI -j RETURN", "is gone, or was written anew"},
	} {
		t.Run(name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			netnstest.Run(t, script)
			j := newJournal(t)
			r := findRules(t, j)
			a := applyArm(t, r, j, drawn)
			netnstest.Run(t, c.script)
			if _, err := a.Packets(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
			nattest.CloseJournal(t, j)
			if left := strings.Join(nattest.ListAllRules(t, true), "\n"); strings.Contains(left, "snatlab") {
				t.Errorf("left:\n%s", left)
			}
		})
	}
}

// Each of several clients has a rule of its own: all of them are found, and an arm stands
// before each.
func TestRuleForEachClient(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	netnstest.Run(t, `ip addr add 198.18.0.2/24 dev snat-c; ip addr add 198.18.0.3/24 dev snat-c
		for n in 1 2 3; do
			iptables-nft -t nat -N CNI-$n
			iptables-nft -t nat -A POSTROUTING -s 198.18.0.$n/32 -j CNI-$n
			iptables-nft -t nat -A CNI-$n -j MASQUERADE
		done`)
	addresses := []netip.Addr{nattest.ClientAddress, netip.MustParseAddr("198.18.0.2"), netip.MustParseAddr("198.18.0.3")}
	server := netip.AddrPortFrom(nattest.ServerAddress, 9000)
	j := newJournal(t)
	c := client(t)
	c.Clients = addresses
	c.Send = func(_ context.Context, client, n int) error {
		nattest.SendSYNsOf(t, addresses[client], server, n)
		return nil
	}
	r, err := Find(t.Context(), j, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Found) != 3 || !slices.Equal(r.Found[2].Clients, []int{2}) || r.Found[2].Rule.Place != "CNI-3" {
		t.Fatalf("%+v", r.Found)
	}
	a := applyArm(t, r, j, drawn)
	for i := range addresses {
		_ = c.Send(t.Context(), i, i+1)
	}
	checkPackets(t, a, 1+2+3, 0)
	if want := "-A CNI-2 -s 198.18.0.2/32 -d 192.0.2.9/32 -j MASQUERADE --random-fully"; !strings.Contains(a.Text(), want) {
		t.Errorf("%q", a.Text())
	}
}

// Where nothing translates, the error names what was looked at.
func TestNothingTranslates(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireNFT(t)
	netnstest.Run(t, "iptables-nft -t nat -A POSTROUTING -s 10.8.0.0/16 -j MASQUERADE")
	_, err := Find(t.Context(), newJournal(t), client(t))
	for _, part := range []string{"client 0, 198.18.0.1, to 192.0.2.9: 8 connections were sent", "eBPF", `"ip saddr 10.8.0.0/16 -j MASQUERADE" of iptables (nft), POSTROUTING`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q in it", err, part)
		}
	}
}

// Rules that no rule can stand in for are refused with the reason, before anything changes.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		arm    snat.Options
		want   string
	}{
		"a_network": {"iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 -j NETMAP --to 192.0.2.0/24", drawn, "its target has options that snatlab cannot write"},
	} {
		t.Run(name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			netnstest.Run(t, c.script)
			j, before := newJournal(t), listRules(t)
			r, err := Find(t.Context(), j, client(t))
			if err == nil {
				_, err = r.Apply(t.Context(), j, c.arm)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
			nattest.CheckUnchanged(t, before, listRules(t))
		})
	}
}

// A journal that snatlab did not write removes no rule of another program.
func TestForgedStep(t *testing.T) {
	t.Parallel()
	for _, p := range []insertedPlace{
		{Family: 2, Table: "nat", Chain: "CNI", Mark: "flanneld masq"},
		{Family: 2, Table: "nat", Chain: "CNI", Mark: ""},
		{Family: 7, Table: "nat", Chain: "CNI", Mark: "snatlab-run_arm_0"},
		{Path: "/bin/sh", Chain: "CNI", Mark: "snatlab-run_arm_0"},
	} {
		if err := p.deleteRule(t.Context()); err == nil {
			t.Errorf("%+v is undone", p)
		}
	}
}

// Ports of a found rule are those of the protocol of the lab's connections: a rule of
// another protocol in front of it would match none of them.
func TestPortsOfFoundRule(t *testing.T) {
	for name, c := range map[string]struct{ script, fully, control string }{
		"iptables-nft": {
			script:  "iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 -p %s -j MASQUERADE --to-ports 20000-20999",
			fully:   "-A POSTROUTING " + toIptables + "-p %s -j MASQUERADE --to-ports 20000-20999 --random-fully",
			control: "-A POSTROUTING " + toIptables + "-p %s -m %[1]s --sport 10000:10099 -j MASQUERADE --to-ports 20000-20999",
		},
		"iptables-legacy": {
			script:  "iptables-legacy -t nat -A POSTROUTING -s 198.18.0.0/24 -p %s -j MASQUERADE --to-ports 20000-20999",
			fully:   "-A POSTROUTING " + toIptables + "-p %s -j MASQUERADE --to-ports 20000-20999 --random-fully",
			control: "-A POSTROUTING " + toIptables + "-p %s -m %[1]s --sport 10000:10099 -j MASQUERADE --to-ports 20000-20999",
		},
		"nftables": {
			script: `nft 'table ip shop { chain post { type nat hook postrouting priority srcnat;
				ip saddr 198.18.0.0/24 ip protocol %s counter masquerade to :20000-20999; }; }'`,
			fully:   toNFTables + "meta l4proto %s counter masquerade to :20000-20999 fully-random",
			control: toNFTables + "%s sport 10000-10099 meta l4proto %[1]s counter masquerade to :20000-20999",
		},
		"nftables_of_both_protocols": {
			script: `nft 'table ip shop { chain post { type nat hook postrouting priority srcnat;
				meta l4proto { tcp, udp } counter masquerade to :20000-20999 comment "%s"; }; }'`,
			fully:   toNFTables + "meta l4proto %s counter masquerade to :20000-20999 fully-random",
			control: toNFTables + "%s sport 10000-10099 meta l4proto %[1]s counter masquerade to :20000-20999",
		},
	} {
		for protocol, udp := range map[string]bool{"tcp": false, "udp": true} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				nattest.EnterNamespace(t)
				nattest.RequireNFT(t)
				if variant, of := strings.CutPrefix(name, "iptables-"); of {
					nattest.RequireVariant(t, variant)
				}
				netnstest.Run(t, fmt.Sprintf(c.script, protocol))
				connections := client(t)
				connections.UDP = udp
				if udp {
					connections.Send = func(_ context.Context, _, n int) error { nattest.SendUDP(t, n); return nil }
				}
				before, j := listRules(t), newJournal(t)
				r, err := Find(t.Context(), j, connections)
				if err != nil {
					t.Fatal(err)
				}
				of := snat.Connections{Server: connections.Server, UDP: udp, Ports: snat.PortRange{First: 10_000, Last: 10_099}}
				if control, err := r.InsertControl(t.Context(), j, of); err != nil || control.Text() != fmt.Sprintf(c.control, protocol) {
					t.Fatalf("%v, %v, want %s", control, err, fmt.Sprintf(c.control, protocol))
				}
				a := applyArm(t, r, j, drawn)
				if want := fmt.Sprintf(c.fully, protocol); a.Text() != want {
					t.Errorf("the arm's rule is %q, want %q", a.Text(), want)
				}
				if err := connections.Send(t.Context(), 0, 5); err != nil {
					t.Fatal(err)
				}
				checkPackets(t, a, 5, 0)
				nattest.CloseJournal(t, j)
				nattest.CheckUnchanged(t, before, listRules(t))
			})
		}
	}
}
