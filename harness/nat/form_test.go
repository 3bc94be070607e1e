package nat

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"snatlab/harness/netnstest"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
)

// A user who can write a journal must not decide what root runs or removes.
func TestForgedStep(t *testing.T) {
	const bad = ": not a rule of snatlab's; its step is not undone"
	trap := filepath.Join(t.TempDir(), "iptables")
	sprung := trap + ".ran"
	if err := os.WriteFile(trap, []byte("#!/bin/sh\ntouch "+sprung+"\necho iptables v1.8.9\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	rewriteOf := func(path, original, rewritten string) string {
		text, _ := json.Marshal(rewriteStep{path, original, rewritten})
		return string(text)
	}
	spec := func(path, chain string, words ...string) string {
		text, _ := json.Marshal(acceptStep{path, chain, words})
		if chain == "" {
			text, _ = json.Marshal(masqueradeStep{path, words})
		}
		return string(text)
	}
	program := func(path string) string {
		return fmt.Sprintf("%q is not the name of an iptables program (iptables-nft, iptables-legacy, iptables, ip6tables-nft, ip6tables-legacy, ip6tables)", path)
	}
	accepting := []string{"-i", "snat-c", "-o", "snat-s", "-j", "ACCEPT"}
	masquerading := []string{"-s", "198.18.0.0/24", "!", "-o", "snat-c", "-j", "MASQUERADE"}
	type forged struct{ name, kind, args, want string }
	steps := []forged{
		{"a rule of another chain", rewriteKind, rewriteOf("PROGRAM", "-A OUTPUT -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE", fully), `"-A OUTPUT -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"` + bad},
		{"another table", rewriteKind, rewriteOf("PROGRAM", plain, "-A POSTROUTING -t filter -j DROP"), `"-A POSTROUTING -t filter -j DROP"` + bad},
		{"a rule of another program", rewriteKind, rewriteOf("PROGRAM", plain, "-A POSTROUTING -s 10.0.0.0/8 ! -o br0 -j MASQUERADE --random"), `"-A POSTROUTING -s 10.0.0.0/8 ! -o br0 -j MASQUERADE --random"` + bad},
		{"the plain rule itself", rewriteKind, rewriteOf("PROGRAM", plain, plain), fmt.Sprintf("%q", plain) + bad},
		{"contradictory options", rewriteKind, rewriteOf("PROGRAM", plain, plain+" --random --random-fully"), fmt.Sprintf("%q", plain+" --random --random-fully") + bad},
		{"more words", rewriteKind, rewriteOf("PROGRAM", plain, fully+" --wait 0"), fmt.Sprintf("%q", fully+" --wait 0") + bad},
		{"another mark", rewriteKind, rewriteOf("PROGRAM", plain, strings.Replace(leftRule, "snatlab-old", "theirs", 1)), fmt.Sprintf("%q", strings.Replace(leftRule, "snatlab-old", "theirs", 1)) + bad},
		{"an interface that is an option", rewriteKind, rewriteOf("PROGRAM", strings.Replace(plain, "snat-c", "-F", 1), fully), fmt.Sprintf("%q", strings.Replace(plain, "snat-c", "-F", 1)) + bad},
		{"all interfaces", rewriteKind, rewriteOf("PROGRAM", strings.Replace(plain, "snat-c", "snat+", 1), fully), fmt.Sprintf("%q", strings.Replace(plain, "snat-c", "snat+", 1)) + bad},
		{"a host's bits", rewriteKind, rewriteOf("PROGRAM", strings.Replace(plain, ".0/24", ".9/24", 1), fully), fmt.Sprintf("%q", strings.Replace(plain, ".0/24", ".9/24", 1)) + bad},
		{"escapes", rewriteKind, rewriteOf("PROGRAM", "\x1b[2J\n", fully), `"\x1b[2J\n"` + bad},
		{"nothing", rewriteKind, `{}`, `""` + bad},
		{"a rule of another chain", acceptKind, spec("PROGRAM", "INPUT", accepting...), `"-A INPUT -i snat-c -o snat-s -j ACCEPT"` + bad},
		{"another target", acceptKind, spec("PROGRAM", "DOCKER-USER", "-i", "a", "-o", "b", "-j", "DROP"), `"-A DOCKER-USER -i a -o b -j DROP"` + bad},
		{"fewer words", acceptKind, spec("PROGRAM", "DOCKER-USER", "-j", "RETURN"), `"-A DOCKER-USER -j RETURN"` + bad},
		{"words in one", acceptKind, spec("PROGRAM", "DOCKER-USER", "-i snat-c -o", "snat-s;x", "-j ACCEPT"), `"-A DOCKER-USER -i snat-c -o snat-s;x -j ACCEPT"` + bad},
		{"another rule", masqueradeKind, spec("PROGRAM", "", "-s", "10.0.0.0/8", "-j", "MASQUERADE"), `"-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE"` + bad},
		{"a rewritten rule", masqueradeKind, spec("PROGRAM", "", append(masquerading, "--random")...), fmt.Sprintf("%q", plain+" --random") + bad},
		{"another table", "nat.widen", `{"table":"filter"}`, `"filter" is not the name of a table of snatlab's; its step is not undone`},
		{"a name with more in it", "nat.widen", `{"table":"snatlab-widen-a\nb"}`, `"snatlab-widen-a\nb" is not the name of a table of snatlab's; its step is not undone`},
		{"another shape", nftablesRewriteKind, `{"original":"counter accept","rewritten":"counter drop"}`, `"counter accept"` + bad},
		{"another statement", nftablesRewriteKind, `{"original":"ip saddr 198.18.0.0/24 oifname != \"snat-c\" counter masquerade","rewritten":"ip saddr 198.18.0.0/24 oifname != \"snat-c\" drop"}`,
			`"ip saddr 198.18.0.0/24 oifname != \"snat-c\" drop"` + bad},
	}
	for _, path := range []string{trap, "./iptables", "../" + filepath.Base(trap), "sh", "", "iptables-restore", "/usr/sbin/iptables", "iptables\n"} {
		steps = append(steps,
			forged{"program " + path, rewriteKind, rewriteOf(path, plain, fully), program(path)},
			forged{"program " + path, acceptKind, spec(path, "DOCKER-USER", accepting...), program(path)},
			forged{"program " + path, masqueradeKind, spec(path, "", masquerading...), program(path)})
	}
	eachVariant(t, func(t *testing.T, tables variant) {
		netnstest.Run(t, tables.Path+" -N DOCKER-USER")
		for _, r := range []string{"-t nat " + plain, "-t nat " + fully, "-t nat -A OUTPUT -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE",
			"-A DOCKER-USER -i snat-c -o snat-s -j ACCEPT", "-A INPUT -i snat-c -o snat-s -j ACCEPT", "-A DOCKER-USER -j RETURN", "-A DOCKER-USER -i a -o b -j DROP"} {
			netnstest.Run(t, tables.Path+" "+r+" || :") // no MASQUERADE in OUTPUT
		}
		before := nattest.ListAllRules(t, true)
		for _, s := range steps {
			args := strings.ReplaceAll(s.args, "PROGRAM", tables.Path)
			if err := Undoers()[s.kind](t.Context(), json.RawMessage(args)); err == nil || err.Error() != s.want {
				t.Errorf("%s, %s: error %v\nwant  %s", s.kind, s.name, err, s.want)
			}
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
		if _, err := os.Stat(sprung); err == nil {
			t.Error("the journal's program was run")
		}
	})
}

// A step is refused whose program, or one of whose addresses, is of the other family than
// its rule.
func TestForgedProgramFamily(t *testing.T) {
	const bad = ": not a rule of snatlab's; its step is not undone"
	eachIptables(t, func(t *testing.T, f byIptables) {
		other := openProgramOf(t, f.network().Other().IPTables()+"-"+f.Variant)
		original, written := f.ours(snat.Options{}), f.ours(snat.Options{RandomFully: true})
		one, _, _ := f.network().Other().Ranges()
		foreign := strings.Replace(original, "-j MASQUERADE", nattest.RuleEnds[snat.Options{ToSource: one}].IPTables, 1)
		owned := func(text string) masqueradeStep {
			return masqueradeStep{Path: other.Path, Spec: rule{text: text}.markedSpec()}
		}
		for _, rule := range []string{original, f.control(), f.drawing(), written} {
			f.add(t, rule)
		}
		before := nattest.ListAllRules(t, true)
		ofOther := " (" + other.Path + " is for the other family of addresses)"
		for _, s := range []struct {
			kind string
			step any
			want string
		}{
			{rewriteKind, rewriteStep{other.Path, original, written}, fmt.Sprintf("%q", original) + bad + ofOther},
			{masqueradeKind, owned(original), fmt.Sprintf("%q", original) + bad + ofOther},
			{controlKind, owned(f.control()), fmt.Sprintf("%q", f.control()) + bad + ofOther},
			{"nat.drawing", owned(f.drawing()), fmt.Sprintf("%q", f.drawing()) + bad + ofOther},
			{rewriteKind, rewriteStep{f.Path, original, foreign}, fmt.Sprintf("%q", foreign) + bad},
		} {
			args, err := json.Marshal(s.step)
			if err != nil {
				t.Fatal(err)
			}
			if err := Undoers()[s.kind](t.Context(), args); err == nil || err.Error() != s.want {
				t.Errorf("%s: error %v\nwant  %s", s.kind, err, s.want)
			}
		}
		nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, true))
	})
}

// A rule that names no network is of no family.
func TestSourceOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		plain:                         "198.18.0.0/24",
		drawingNFTables:               "198.18.0.0/24",
		inIPv6(controlIPTables):       "2001:2::/64",
		inIPv6(nft4.control()):        "2001:2::/64",
		"ip6 saddr 2001:2::1 counter": "2001:2::1/128", // nft's text for a network of one
		"ip saddr 10.1.2.3 counter":   "10.1.2.3/32",
		acceptText("10.1.2.3", "b"):   "invalid Prefix", // an interface can have this name
		acceptText("saddr", "b"):      "invalid Prefix",
		"-A POSTROUTING -s":           "invalid Prefix",
		"counter masquerade":          "invalid Prefix",
	} {
		if got := sourceOf(text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Every rule that is written has a form that can be undone.
func TestForm(t *testing.T) {
	t.Parallel()
	for _, network := range []struct{ subnet, bridge string }{
		{"198.18.0.0/24", "snat-c"}, {"0.0.0.0/0", "docker0"}, {"10.1.2.3/32", "br-0123456789ab"},
		{"2001:2::/64", "snat-c"}, {"::/0", "docker0"}, {"fd00::1/128", "br-0123456789ab"},
	} {
		prefix := netip.MustParsePrefix(network.subnet)
		original := masqueradeText(prefix, network.bridge)
		r := nftables.MasqueradeRule{Subnet: prefix, Bridge: network.bridge}
		for _, o := range nattest.NetworkOf(prefix.Addr()).Rewritings() {
			text := iptablesBackend{}.rewriteText(original, o)
			for _, mark := range []string{"", "snatlab-20260102-030405-abcdef"} {
				s := rewriteStep{Original: original, Rewritten: rule{text: text, mark: mark}.markedLine()}
				got, written, bridge, err := s.parseRules()
				if err != nil || got.text != original || written.text != text || written.mark != mark || bridge != network.bridge {
					t.Errorf("%+v is read as %v, %v, %s, %v", s, got, written, bridge, err)
				}
			}
			with := r
			with.Options = o
			if got := nftables.ParseStatement(strings.TrimPrefix(with.Text(), r.Match())); got != o {
				t.Errorf("%s is read as %+v", with.Text(), got)
			}
		}
		if got, ok := nftables.ParseRule(r.Text()); !ok || got != r {
			t.Errorf("%s is read as %+v, %v", r.Text(), got, ok)
		}
	}
}

// Apply refuses a bridge that undoing would refuse.
func TestApplyBadBridge(t *testing.T) {
	t.Parallel()
	j, path := nattest.NewJournal(t, Undoers())
	header := nattest.ReadFile(t, path)
	r := &Rule{Text: "-A POSTROUTING -s 198.18.0.0/24 ! -o $(id) -j MASQUERADE", backend: iptablesBackend{}}
	_, err := r.Apply(t.Context(), j, snat.Options{Random: true})
	want := "rewrite masquerade rule " + r.Text + fmt.Sprintf(": %q: not a rule of snatlab's; its step is not undone", r.Text)
	if err == nil || err.Error() != want || nattest.ReadFile(t, path) != header {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// Whatever the text of a step is, a text that is accepted consists of the words
// of a rule of ours.
func FuzzStepText(f *testing.F) {
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		for _, o := range n.Rewritings() {
			original := masqueradeText(n.Subnet, nattest.Bridge)
			f.Add(original, iptablesBackend{}.rewriteText(original, o))
		}
	}
	for _, odd := range []string{leftRule, "", plain + " -j DROP", strings.Replace(plain, "snat-c", "a b", 1), strings.Replace(plain, "-A", "-D", 1), "\"", fully + "\n"} {
		f.Add(plain, odd)
		f.Add(odd, fully)
	}
	words := regexp.MustCompile(`^-A POSTROUTING -s [0-9a-f.:/]+ ! -o [A-Za-z0-9._-]+( -p tcp| -p udp)?( -m comment --comment snatlab-[A-Za-z0-9_-]+)?` +
		` -j (MASQUERADE( --to-ports [0-9-]+)?|SNAT --to-source ([0-9.-]+|[0-9a-f:-]+|\[[0-9a-f:-]+\])(:[0-9-]+)?)( --random| --random-fully)?( --persistent)?$`)
	f.Fuzz(func(t *testing.T, original, rewritten string) {
		was, written, _, err := (rewriteStep{Original: original, Rewritten: rewritten}).parseRules()
		if err != nil {
			return
		}
		if was.markedLine() != original || written.markedLine() != rewritten || !words.MatchString(original) || !words.MatchString(rewritten) {
			t.Errorf("%q and %q are accepted", original, rewritten)
		}
	})
}
