package nat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// controlPorts are the source ports of the control in these tests. The kernel chooses none
// of them.
var controlPorts = snat.PortRange{First: 22_000, Last: 29_999}

// serverOf returns the port of a network's server to which the control connects.
func serverOf(n nattest.Network) netip.AddrPort { return netip.AddrPortFrom(n.ServerAddress, 19_999) }

// nextControlPort is the source port of the next connection of the control.
var nextControlPort = controlPorts.First

// sendControl sends SYNs from ports of the control.
func sendControl(t *testing.T, server netip.AddrPort, n int) {
	t.Helper()
	nattest.SendSYNsFrom(t, nextControlPort, server, n)
	nextControlPort += uint16(n)
}

const controlIPTables = "-A POSTROUTING -s 198.18.0.0/24 -d 192.0.2.9/32 ! -o snat-c -p tcp -m tcp --sport 22000:29999 -j MASQUERADE"

func (f byIptables) control() string { return f.inFamily(controlIPTables) }

func (f byNFT) control() string {
	return fmt.Sprintf(`%[1]s saddr %[2]v oifname != "snat-c" %[1]s daddr %[3]v tcp sport 22000-29999 counter masquerade`, f.of.Family(), f.of.Subnet, f.of.ServerAddress)
}

// controlOf returns the connections of the control to the server of a rule's network.
func controlOf(r *Rule) snat.Connections {
	server := serverOf(nattest.NetworkOf(sourceOf(r.Text).Addr()))
	return snat.Connections{Server: snat.ServerAt(server.Addr()), Ports: controlPorts}
}

// insertControl inserts the rule of the control.
func insertControl(t *testing.T, r *Rule, j *undo.Journal) *ControlRule {
	t.Helper()
	c, err := r.InsertControl(t.Context(), j, controlOf(r))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkMatched checks how many packets the rule of the control matched.
func checkMatched(t *testing.T, c *ControlRule, want uint64) {
	t.Helper()
	if got, err := c.Packets(t.Context()); got != want || err != nil {
		t.Errorf("the control's rule matched %d packets (%v), want %d", got, err, want)
	}
}

// controlClaims hold for every backend.
var controlClaims = []struct {
	name  string
	holds func(t *testing.T, f firewall)
}{
	{"it stands before the rule of the network, in every arm", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		c := insertControl(t, r, j)
		if c.Text() != f.control() {
			t.Errorf("%q, want %q", c.Text(), f.control())
		}
		for _, o := range append([]snat.Options{{}}, f.network().Rewritings()...) {
			inForce := applyOptions(t, r, j, o)
			checkRules(t, f, f.theirs(1), f.control(), f.ours(o), f.theirs(2))
			undoRule(t, inForce)
			checkRules(t, f, f.theirs(1), f.control(), f.ours(snat.Options{}), f.theirs(2))
		}
	}},
	{"its connections pass it alone, in every arm", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		other := netip.AddrPortFrom(serverOf(f.network()).Addr(), 20_000)
		var want uint64
		one, _, _ := f.network().Ranges()
		for _, o := range []snat.Options{{}, {Random: true}, {RandomFully: true}, {ToPorts: nattest.TenPorts}, {ToSource: one}} {
			inForce := applyOptions(t, r, j, o)
			before, err := inForce.Packets(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sendControl(t, serverOf(f.network()), 5)
			sendControl(t, other, 1) // whatever the port of the server is
			want += 6
			checkMatched(t, c, want)
			checkPackets(t, inForce, before)
			nattest.SendSYNs(t, other, 3)
			f.network().SendUDP(t, 2)
			checkMatched(t, c, want)
			if n, err := inForce.Packets(t.Context()); err != nil || n <= before {
				t.Errorf("%s matched %d packets, %v", inForce.Text(), n, err)
			}
			undoRule(t, inForce)
		}
		for from := range nattest.TranslatedSources(t, serverOf(f.network())) {
			if from.Addr() != f.network().OutAddress || nattest.TenPorts.First <= from.Port() && from.Port() <= nattest.TenPorts.Last {
				t.Errorf("left as %v", from)
			}
		}
	}},
	{"it matches the connections to every address of a network", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		c, err := r.InsertControl(t.Context(), j, snat.Connections{Server: f.network().Out, Ports: controlPorts})
		if err != nil {
			t.Fatal(err)
		}
		server, out := f.network().ServerAddress, f.network().Out.String()
		if want := strings.NewReplacer(snat.ServerAt(server).String(), out, server.String(), out).Replace(f.control()); c.Text() != want {
			t.Errorf("%q, want %q", c.Text(), want)
		}
		sendControl(t, serverOf(f.network()), 4)
		sendControl(t, netip.AddrPortFrom(serverOf(f.network()).Addr().Next(), 19_999), 3)
		checkMatched(t, c, 7)
		nattest.CloseJournal(t, j)
	}},
	{"it is undone, once and again, by the run and by another process", func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		for _, undoAll := range []func(j *undo.Journal, path string){
			func(j *undo.Journal, _ string) { nattest.CloseJournal(t, j) },
			func(j *undo.Journal, path string) {
				replayCopy(t, path)
				replayCopy(t, path)
				nattest.CloseJournal(t, j)
			},
		} {
			j, path := nattest.NewJournal(t, Undoers())
			insertControl(t, r, j)
			applyOptions(t, r, j, snat.Options{RandomFully: true})
			undoAll(j, path)
			checkRules(t, f, f.theirs(1), f.ours(snat.Options{}))
		}
		j, _ := nattest.NewJournal(t, Undoers())
		insertControl(t, r, j)
		steps := j.Steps()
		nattest.CloseJournal(t, j)
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		checkRules(t, f, f.theirs(1), f.ours(snat.Options{}))
	}},
	{"the command for people removes it", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		insertControl(t, r, j)
		netnstest.Run(t, j.Steps()[0].Manual)
		checkRules(t, f, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	}},
	{"a rule of the same text is not made again, nor undone", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		f.insert(t, f.control())
		journal := nattest.ReadFile(t, path)
		_, err := r.InsertControl(t.Context(), j, controlOf(r))
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("insert the rule of the control before %q: ", r.Text)) || !strings.Contains(err.Error(), " already") {
			t.Errorf("error %v", err)
		}
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
		checkRules(t, f, f.control(), f.ours(snat.Options{}))
	}},
	{"without the network's rule it is an error that leaves nothing", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.replace(t, 1, f.theirs(1))
		if _, err := r.InsertControl(t.Context(), j, controlOf(r)); err == nil || !strings.Contains(err.Error(), "no rule ") {
			t.Errorf("error %v", err)
		}
		checkRules(t, f, f.theirs(1))
		nattest.CloseJournal(t, j)
	}},
	{"a server and ports that are none are refused before anything is journalled", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		journal := nattest.ReadFile(t, path)
		for _, bad := range []netip.Prefix{{}, snat.ServerAt(f.network().Other().ServerAddress), netip.MustParsePrefix("2001:2:0:1::/63"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("198.18.1.0/25"), netip.MustParsePrefix("198.18.1.2/24")} {
			if _, err := r.InsertControl(t.Context(), j, snat.Connections{Server: bad, Ports: controlPorts}); err == nil {
				t.Errorf("%v is accepted", bad)
			}
		}
		for _, bad := range []snat.PortRange{{}, {First: 0, Last: 9}, {First: 9, Last: 9}, {First: 9, Last: 3}} {
			if _, err := r.InsertControl(t.Context(), j, snat.Connections{Server: controlOf(r).Server, Ports: bad}); err == nil {
				t.Errorf("ports %v are accepted", bad)
			}
		}
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}},
	{"that somebody removed it is an error that says so", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		f.remove(t, 1)
		text := fmt.Sprintf("the rule of the control %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)", f.control(), f.place())
		if _, err := c.Packets(t.Context()); err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		nattest.CloseJournal(t, j)
	}},
	{"it is no other program's rule, but one that takes its packets is", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
		if all := inForce.ReadCounters(t.Context()); slices.ContainsFunc(all.Rules, func(c RuleCounter) bool { return strings.Contains(c.Rule, "29999") || c.Packets > 0 }) {
			t.Errorf("counters %+v", all)
		}
		nattest.RequireNFT(t)
		family := f.network().Family()
		netnstest.Run(t, strings.ReplaceAll(`nft 'add table FAMILY shop; add chain FAMILY shop nat { type nat hook postrouting priority srcnat - 1; }; add rule FAMILY shop nat tcp dport 19999 counter masquerade comment "theirs"'`, "FAMILY", family))
		sendControl(t, serverOf(f.network()), 4)
		checkMatched(t, c, 0)
		checkPackets(t, inForce, 0)
		all := formatCounters(inForce.ReadCounters(t.Context()))
		if want := "nftables, table " + family + ` shop, chain nat 1: comment "theirs" 4`; !slices.Contains(all, want) {
			t.Errorf("counters %q, want %q", all, want)
		}
	}},
	{"a context that has ended changes nothing", func(t *testing.T, f firewall) {
		stop := errors.New("interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		r, j, path := makeRule(t, f)
		c := insertControl(t, r, j)
		journal := nattest.ReadFile(t, path)
		cancel(stop)
		if _, err := r.InsertControl(ctx, j, snat.Connections{Server: controlOf(r).Server, Ports: snat.PortRange{First: 1, Last: 2}}); !errors.Is(err, stop) {
			t.Errorf("error %v", err)
		}
		if _, err := c.Packets(ctx); !errors.Is(err, stop) {
			t.Errorf("error %v", err)
		}
		if nattest.ReadFile(t, path) != journal {
			t.Errorf("journal reads\n%s", nattest.ReadFile(t, path))
		}
	}},
}

// The rule of the control fulfils the same claims in every backend.
func TestControl(t *testing.T) {
	for _, c := range controlClaims {
		t.Run(c.name, func(t *testing.T) { eachFirewall(t, c.holds) })
	}
}

// With iptables, another program's rule above takes the packets of the control, and is
// reported.
func TestControlTaker(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
		taker := f.inFamily("-A POSTROUTING -s 198.18.0.0/24 -d 192.0.2.9/32 -p tcp -m tcp --dport 19999 -j MASQUERADE")
		f.insert(t, taker)
		sendControl(t, serverOf(f.network()), 4)
		checkMatched(t, c, 0)
		checkPackets(t, inForce, 0)
		want := fmt.Sprintf("POSTROUTING (%s) 1: %q 4", f.Variant, taker)
		if all := formatCounters(inForce.ReadCounters(t.Context())); !slices.Equal(all, []string{want}) {
			t.Errorf("counters %q, want %q", all, want)
		}
	})
}

// A rule of a control that a crashed run left is not the network's rule.
func TestControlIsNotFound(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		left := strings.Replace(controlIPTables, " -j ", commentText("snatlab-old")+" -j ", 1)
		netnstest.Run(t, tables.Path+" -t nat "+left)
		_, err := FindRule(t.Context(), programs(tables), nattest.Subnet, nattest.Bridge)
		if missing, ok := errors.AsType[*NoRuleError](err); !ok || missing.HasRule() {
			t.Errorf("error %v", err)
		}
		tables.addRules(t, ours)
		r := findOurs(t, tables)
		j, _ := nattest.NewJournal(t, Undoers())
		applyOptions(t, r, j, snat.Options{RandomFully: true})
		_, err = r.InsertControl(t.Context(), j, controlOf(r))
		if err == nil || !strings.Contains(err.Error(), "rule 1 of POSTROUTING is") || !strings.Contains(err.Error(), "which run old of snatlab left") {
			t.Errorf("error %v", err)
		}
		nattest.CloseJournal(t, j)
	})
}

// Only the rules with the mark of the run are removed.
func TestControlMark(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		r, j, _ := makeRule(t, f)
		insertControl(t, r, j)
		f.insert(t, f.control())
		nattest.CloseJournal(t, j)
		checkRules(t, f, f.control())
	})
}

// What stands in a journal is checked as if a stranger wrote it.
func TestForgedControl(t *testing.T) {
	const bad = ": not a rule of snatlab's; its step is not undone"
	good := strings.TrimPrefix(controlIPTables, "-A POSTROUTING ")
	nft := nft4.control()
	eachVariant(t, func(t *testing.T, tables variant) {
		netnstest.Run(t, tables.Path+" -t nat "+plain)
		netnstest.Run(t, tables.Path+" -t nat -A POSTROUTING "+good)
		before := nattest.ListAllRules(t, true)
		for _, spec := range []string{
			"", strings.TrimPrefix(plain, "-A POSTROUTING "), good + " --random", good + " -t filter",
			strings.Replace(good, "192.0.2.9/32", "192.0.2.0/25", 1), strings.Replace(good, "192.0.2.9/32", "192.0.2.9/24", 1), strings.Replace(good, "192.0.2.9/32", "::1/128", 1),
			strings.Replace(good, "22000", "0", 1), strings.Replace(good, "22000", "022000", 1), strings.Replace(good, "22000:29999", "22000", 1),
			strings.Replace(good, "22000:29999", "22000:22000", 1), strings.Replace(good, "22000:29999", "22000-29999", 1), strings.Replace(good, "22000:29999", "22000:", 1),
			strings.Replace(good, "29999", "70000", 1), strings.Replace(good, "29999", "19999", 1), strings.Replace(good, "tcp", "udp", 1), strings.Replace(good, "tcp", "sctp", 2),
			strings.Replace(good, "! -o", "-! -o", 1), strings.Replace(good, "snat-c", "snat+", 1), strings.Replace(good, "snat-c", "-F", 1),
			strings.Replace(good, ".0/24", ".9/24", 1), strings.Replace(good, "MASQUERADE", "DROP", 1), strings.Replace(good, "-s", "-d", 1),
			strings.Replace(good, "-j", "-m comment --comment theirs -j", 1), strings.Replace(good, "--sport", "--dport", 1),
		} {
			args, err := json.Marshal(controlStep{Path: tables.Path, Spec: strings.Fields(spec)})
			if err != nil {
				t.Fatal(err)
			}
			if err := Undoers()[controlKind](t.Context(), args); err == nil || !strings.HasSuffix(err.Error(), bad) {
				t.Errorf("%s: error %v", spec, err)
			}
		}
		for _, path := range []string{"", "sh", "./iptables", "/usr/sbin/iptables", "iptables-restore"} {
			args, err := json.Marshal(controlStep{Path: path, Spec: strings.Fields(good)})
			if err != nil {
				t.Fatal(err)
			}
			if err := Undoers()[controlKind](t.Context(), args); err == nil || !strings.Contains(err.Error(), "is not the name of an iptables program") {
				t.Errorf("%s: error %v", path, err)
			}
		}
		for _, text := range []string{
			"", "counter drop", nft4.ours(snat.Options{}), nft + " random", strings.Replace(nft, "22000", "0", 1),
			strings.Replace(nft, "-29999", "", 1), strings.Replace(nft, "-29999", "-22000", 1), strings.Replace(nft, "-29999", "-19999", 1), strings.Replace(nft, "192.0.2.9", "::1", 1), strings.Replace(nft, "tcp", "sctp", 1), nft + "; flush ruleset",
		} {
			args, err := json.Marshal(map[string]string{"rule": text})
			if err != nil {
				t.Fatal(err)
			}
			if err := Undoers()["nat.nftables-control"](t.Context(), args); err == nil || err.Error() != fmt.Sprintf("%q is not a rule of snatlab's; its step is not undone", text) {
				t.Errorf("%s: error %v", text, err)
			}
		}
		// The rule of a control is not the original of a rewriting.
		args, err := json.Marshal(nftablesRewrite{Original: nft, Rewritten: nft + " fully-random"})
		if err != nil {
			t.Fatal(err)
		}
		if err := Undoers()[nftablesRewriteKind](t.Context(), args); err == nil || err.Error() != fmt.Sprintf("%q%s", nft, bad) {
			t.Errorf("error %v", err)
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	})
}

// A rule that differs from that of a control in one respect is not taken for it.
func TestControlShapes(t *testing.T) {
	control := nft4.control()
	shapes := []string{
		strings.Replace(control, "tcp sport", "sctp sport", 1), strings.Replace(control, "tcp sport", "tcp dport", 1),
		strings.Replace(control, "ip daddr", "ip daddr !=", 1), strings.Replace(control, "tcp sport", "tcp sport !=", 1),
		strings.Replace(control, "192.0.2.9", "192.0.2.0/24", 1), strings.Replace(control, "-29999", "", 1), strings.Replace(control, "-29999", "-30000", 1),
		control + " random", control + " fully-random", strings.Replace(control, "counter ", "", 1), control + ` comment "theirs"`,
		strings.Replace(control, "tcp sport 22000-29999 ", "", 1), strings.Replace(control, "ip daddr 192.0.2.9 ", "", 1),
		`ip saddr 198.18.0.0/24 ip daddr 192.0.2.9 oifname != "snat-c" tcp sport 22000-29999 counter masquerade`,
		strings.Replace(control, "masquerade", "snat to 192.0.2.1", 1), strings.Replace(control, "masquerade", "masquerade to :1024-65535", 1),
	}
	for i, shape := range append(shapes, shapes...) {
		f := nft4
		if i >= len(shapes) {
			f, shape = byNFT{nattest.IPv6}, inIPv6(shape)
		}
		t.Run(shape, func(t *testing.T) {
			nattest.EnterNamespace(t)
			openNFT(t)
			r, j, _ := makeRule(t, f)
			c := insertControl(t, r, j)
			f.replace(t, 1, shape)
			if _, err := c.Packets(t.Context()); err == nil {
				t.Error("it is taken for the rule of the control")
			}
			before := nattest.ListAllRules(t, true)
			replayed := j.Steps()[:1]
			if err := Undoers().UndoAll(t.Context(), replayed); err != nil {
				t.Error(err)
			}
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		})
	}
}

// Whatever the text of a step is, a text that is accepted consists of the words of the
// rule of a control.
func FuzzControlText(f *testing.F) {
	for _, text := range []string{controlIPTables, inIPv6(controlIPTables), nft4.control(), byNFT{nattest.IPv6}.control(), plain, fully, "", controlIPTables + " --random"} {
		f.Add(text)
	}
	iptablesForm := regexp.MustCompile(`^-A POSTROUTING (-s [0-9./]+ -d [0-9./]+|-s [0-9a-f:/]+ -d [0-9a-f:/]+) ! -o [A-Za-z0-9._-]+ -p (tcp -m tcp|udp -m udp) --sport [1-9][0-9]{0,4}:[1-9][0-9]{0,4} -j MASQUERADE$`)
	nftForm := regexp.MustCompile(`^(ip saddr [0-9./]+ oifname != "[^"\\*]+" ip daddr [0-9./]+|ip6 saddr [0-9a-f:/]+ oifname != "[^"\\*]+" ip6 daddr [0-9a-f:/]+) (tcp|udp) sport [1-9][0-9]{0,4}-[1-9][0-9]{0,4} counter masquerade$`)
	f.Fuzz(func(t *testing.T, text string) {
		if parseControl(text) == nil && !iptablesForm.MatchString(text) {
			t.Errorf("%q is accepted", text)
		}
		if r, ok := nftables.ParseRule(text); ok && r.Server.IsValid() && !nftForm.MatchString(text) {
			t.Errorf("%q is accepted", text)
		}
	})
}

// A network's rule that landed above the control's, because another program inserted
// rules at that moment, does not take the control's packets: a copy is put before it. All
// copies are removed.
func TestControlPutBefore(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		line := strings.TrimPrefix(r.originalRule().markedLine(), "-A POSTROUTING")
		netnstest.Run(t, f.Path+" -t nat -D POSTROUTING"+line)
		netnstest.Run(t, f.Path+" -t nat -I POSTROUTING 1"+line)
		applyOptions(t, r, j, snat.Options{})
		checkRules(t, f, f.control(), f.ours(snat.Options{}), f.control())
		sendControl(t, serverOf(f.network()), 3)
		checkMatched(t, c, 3)
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	})
}
