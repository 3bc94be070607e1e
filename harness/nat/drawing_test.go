package nat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
)

// someConnections are the options of a rule for a part of the connections.
var someConnections = snat.Options{RandomFully: true, PerMillion: 683_772}

const (
	drawingIPTables = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -m statistic --mode random --probability 0.68377200002 -j MASQUERADE --random-fully"
	drawingNFTables = `ip saddr 198.18.0.0/24 oifname != "snat-c" numgen random mod 1000000 < 683772 counter masquerade fully-random`
)

func (f byIptables) drawing() string { return f.inFamily(drawingIPTables) }

func (f byNFT) drawing() string {
	return strings.Replace(drawingNFTables, "ip saddr 198.18.0.0/24", fmt.Sprintf("%s saddr %v", f.of.Family(), f.of.Subnet), 1)
}

// drawingClaims hold for every backend.
var drawingClaims = []struct {
	name  string
	holds func(t *testing.T, f firewall)
}{
	{"it stands between the rules of the control and of the network, and leaves nothing", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		f.add(t, f.theirs(2))
		insertControl(t, r, j)
		for range 2 {
			inForce := applyOptions(t, r, j, someConnections)
			checkRules(t, f, f.theirs(1), f.control(), f.drawing(), f.ours(snat.Options{}), f.theirs(2))
			if want := f.drawing() + ", then " + r.Text; inForce.Text() != want {
				t.Errorf("in force %q, want %q", inForce.Text(), want)
			}
			undoRule(t, inForce)
			undoRule(t, inForce)
			checkRules(t, f, f.theirs(1), f.control(), f.ours(snat.Options{}), f.theirs(2))
		}
	}},
	{"the run and another process undo it, once and again", func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		for _, byOther := range []bool{false, true} {
			j, path := nattest.NewJournal(t, Undoers())
			applyOptions(t, r, j, someConnections)
			checkRules(t, f, f.theirs(1), f.drawing(), f.ours(snat.Options{}))
			if byOther {
				replayCopy(t, path)
				replayCopy(t, path)
			}
			nattest.CloseJournal(t, j)
			nattest.CloseJournal(t, j)
			checkRules(t, f, f.theirs(1), f.ours(snat.Options{}))
		}
	}},
	{"every connection passes one of the two rules, and both count", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		c := insertControl(t, r, j)
		inForce := applyOptions(t, r, j, someConnections)
		f.network().SendUDP(t, 40)
		checkPackets(t, inForce, 40)
		if own, control, err := inForce.BothPackets(t.Context()); own != 40 || control != 0 || err != nil {
			t.Errorf("%d and %d packets, %v", own, control, err)
		}
		checkMatched(t, c, 0)
		for _, rule := range inForce.ReadCounters(t.Context()).Rules {
			t.Errorf("%s counts as a rule of another program", rule.Rule)
		}
		undoRule(t, inForce)
	}},
	{"the command for people removes it", func(t *testing.T, f firewall) {
		r, j, _ := makeRule(t, f)
		applyOptions(t, r, j, someConnections)
		netnstest.Run(t, j.Steps()[0].Manual)
		checkRules(t, f, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	}},
	{"the error says that another program removed it", func(t *testing.T, f firewall) {
		r, j := makeUnmarked(t, f)
		inForce := applyOptions(t, r, j, someConnections)
		f.remove(t, 1)
		checkGone(t, f, inForce, f.drawing())
		undoRule(t, inForce)
		checkRules(t, f, f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
	}},
	{"a rule of the same text is another program's, and stays", func(t *testing.T, f firewall) {
		r, j, path := makeRule(t, f)
		f.insert(t, f.drawing())
		journal := nattest.ReadFile(t, path)
		if err := r.Check(t.Context(), someConnections); err == nil || !strings.Contains(err.Error(), "holds the new text already") {
			t.Errorf("error %v", err)
		}
		if _, err := r.Apply(t.Context(), j, someConnections); err == nil || nattest.ReadFile(t, path) != journal {
			t.Errorf("error %v; journal reads\n%s", err, nattest.ReadFile(t, path))
		}
		checkRules(t, f, f.drawing(), f.ours(snat.Options{}))
	}},
}

func TestDrawing(t *testing.T) {
	for _, c := range drawingClaims {
		t.Run(c.name, func(t *testing.T) { eachFirewall(t, c.holds) })
	}
}

// A rule that another program inserts above while the rule is written does not put it
// above that of the control.
func TestDrawingInsertedAboveControl(t *testing.T) {
	eachIptables(t, func(t *testing.T, f byIptables) {
		r, j, _ := makeRule(t, f)
		insertControl(t, r, j)
		inForce := applyOptions(t, r, j, someConnections)
		marked := rule{text: f.control(), mark: markOf(j)}.markedLine()
		f.remove(t, 1)
		f.add(t, strings.Replace(marked, "-A POSTROUTING", "-I POSTROUTING 2", 1)) // behind the drawing rule
		rules, err := inForce.backend.readRules(t.Context())
		if err == nil {
			_, err = inForce.control.putBefore(t.Context(), rules, inForce.ownRules()[0])
		}
		if err != nil {
			t.Fatal(err)
		}
		checkRules(t, f, f.control(), f.drawing(), f.control(), f.ours(snat.Options{}))
		nattest.CloseJournal(t, j)
		checkRules(t, f)
	})
}

// Every number of connections has a text that is read back as the same one.
func TestDrawingText(t *testing.T) {
	t.Parallel()
	if got := (iptablesBackend{}).rewriteText(plain, someConnections); got != drawingIPTables {
		t.Errorf("%s, want %s", got, drawingIPTables)
	}
	for perMillion := uint32(1); perMillion < snat.Million; perMillion = perMillion*3/2 + 1 {
		for _, n := range []uint32{perMillion, snat.Million - perMillion} {
			if err := parsePart((iptablesBackend{}).rewriteText(plain, snat.Options{RandomFully: true, PerMillion: n})); err != nil {
				t.Error(err)
			}
		}
	}
}

// A user who can write a journal must not decide what root removes.
func TestForgedDrawing(t *testing.T) {
	nattest.EnterNamespace(t)
	bad := []string{
		strings.Replace(drawingIPTables, "POSTROUTING", "OUTPUT", 1),
		strings.Replace(drawingIPTables, "0.68377200002", "0.5x", 1),
		strings.Replace(drawingIPTables, "0.68377200002", "NaN", 1),
		strings.Replace(drawingIPTables, "0.68377200002", "0.683772", 1),
		strings.Replace(drawingIPTables, "0.68377200002", "1.00000000000", 1),
		strings.Replace(drawingIPTables, "--mode random", "--mode nth", 1),
		strings.Replace(drawingIPTables, "snat-c", "snat+", 1),
		drawingIPTables + " --wait",
		plain, fully,
	}
	for _, text := range bad {
		args, _ := json.Marshal(partStep{Path: "iptables-nft", Spec: strings.Fields(text)[2:]})
		if strings.Contains(text, "OUTPUT") {
			if err := parsePart(text); err == nil {
				t.Errorf("%q is accepted", text)
			}
			continue
		}
		checkForgedStep(t, partKind, string(args), text)
	}
	for _, text := range []string{
		strings.Replace(drawingNFTables, "683772", "0", 1),
		strings.Replace(drawingNFTables, "683772", "1000000", 1),
		strings.Replace(drawingNFTables, "683772", "99999999999", 1),
		strings.Replace(drawingNFTables, "fully-random", "random", 1),
		strings.Replace(drawingNFTables, "counter", "ip daddr 192.0.2.9 tcp dport 1 counter", 1),
		`ip saddr 198.18.0.0/24 oifname != "snat-c" counter masquerade`,
	} {
		args, _ := json.Marshal(map[string]string{"rule": text})
		checkForgedStep(t, "nat.nftables-drawing", string(args), text)
	}
	// The rule is no rewriting of the network's rule.
	args, _ := json.Marshal(nftablesRewrite{Original: nft4.ours(snat.Options{}), Rewritten: drawingNFTables})
	checkForgedStep(t, nftablesRewriteKind, string(args), drawingNFTables)
	args, _ = json.Marshal(rewriteStep{Path: "iptables-nft", Original: plain, Rewritten: drawingIPTables})
	checkForgedStep(t, rewriteKind, string(args), drawingIPTables)
	if names := nftables.NATChains(t.Context(), nattest.Subnet, func(nftables.Chain) bool { return true }); len(names) > 0 {
		t.Errorf("chains were made: %v", names)
	}
}

// checkForgedStep checks that a step is refused as one that snatlab does not write.
func checkForgedStep(t *testing.T, kind, args, text string) {
	t.Helper()
	err := Undoers()[kind](t.Context(), json.RawMessage(args))
	if want := fmt.Sprintf("%q is not a rule of snatlab's", text); err == nil || !strings.Contains(err.Error(), "not a rule of snatlab's") {
		t.Errorf("%s: error %v, want %s", kind, err, want)
	}
}

// A rule of nftables for a part of the connections is listed by its text, and a rule
// that differs in one expression is not.
func TestListDrawing(t *testing.T) {
	nattest.EnterNamespace(t)
	f := openNFT(t)
	r, j, _ := makeRule(t, f)
	applyOptions(t, r, j, someConnections)
	for _, text := range []string{
		strings.Replace(drawingNFTables, "mod 1000000", "mod 1000001", 1),
		strings.Replace(drawingNFTables, "numgen random", "numgen inc", 1),
		strings.Replace(drawingNFTables, "1000000 <", "1000000 offset 1 <", 1),
		strings.Replace(drawingNFTables, "masquerade fully-random", "masquerade", 1),
	} {
		f.add(t, text)
	}
	listed, err := nftables.ListRules(t.Context(), nattest.Subnet)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, l := range listed {
		texts = append(texts, l.Text)
	}
	want := []string{drawingNFTables, r.Text}
	for range 4 {
		want = append(want, nftables.OtherShape)
	}
	if !slices.Equal(texts, want) {
		t.Errorf("listed %q", texts)
	}
	nattest.CloseJournal(t, j)
}
