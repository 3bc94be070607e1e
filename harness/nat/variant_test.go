package nat

import (
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// variant is a variant of iptables as its own program shows it.
type variant struct{ *iptables.Program }

// eachVariant runs a test with each variant, in a namespace of its own.
func eachVariant(t *testing.T, test func(t *testing.T, tables variant)) {
	t.Helper()
	nattest.EachVariant(t, func(t *testing.T, name string) { test(t, openVariant(t, name)) })
}

// eachProgram runs a test with each variant of iptables and of ip6tables, in a namespace of
// its own.
func eachProgram(t *testing.T, test func(t *testing.T, tables variant)) {
	t.Helper()
	nattest.EachProgram(t, func(t *testing.T, name string) { test(t, openProgramOf(t, name)) })
}

// openVariant opens a variant that works in the test's namespace.
func openVariant(t *testing.T, name string) variant {
	t.Helper()
	return openProgramOf(t, "iptables-"+name)
}

// openProgramOf opens a variant of iptables or of ip6tables by the program's name.
func openProgramOf(t *testing.T, program string) variant {
	t.Helper()
	nattest.RequireProgram(t, program)
	p, err := iptables.OpenNamed(program)
	if err != nil {
		t.Fatal(err)
	}
	return variant{p}
}

// addRules appends rules to the chain, given as `iptables -A` takes them.
func (t variant) addRules(test *testing.T, rules ...string) {
	test.Helper()
	for _, r := range rules {
		netnstest.Run(test, t.Path+" -t nat -A POSTROUTING "+r)
	}
}

// listCounted returns the chain's lines as iptables prints them, with the
// counters and without our mark.
func (t variant) listCounted(test *testing.T) []string {
	test.Helper()
	return strings.Split(strings.TrimSpace(removeMarks(netnstest.Run(test, t.Path+" -t nat -v -S POSTROUTING 2>/dev/null"))), "\n")
}

// removeMarks removes the marks of rules that were written for the journal of
// nattest.NewJournal.
func removeMarks(listing string) string {
	return strings.ReplaceAll(listing, commentText("snatlab-run"), "")
}

// checkUnchanged reports lines of the chain that differ from those before.
func (t variant) checkUnchanged(test *testing.T, before []string) {
	test.Helper()
	nattest.CheckUnchanged(test, before, t.listCounted(test))
}

// ours is the rule of nattest's network, which is rewritten in these tests.
const ours = "-s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"

// addBusy appends our rule between nattest.ForeignRules.
func (t variant) addBusy(test *testing.T) {
	test.Helper()
	t.addRules(test, slices.Concat(nattest.ForeignRules[:6], []string{"-c 12 720 " + ours}, nattest.ForeignRules[6:])...)
}

func programs(variants ...variant) []*iptables.Program {
	var all []*iptables.Program
	for _, v := range variants {
		all = append(all, v.Program)
	}
	return all
}

// findOurs returns the rule of nattest's network.
func findOurs(t *testing.T, variants ...variant) *Rule {
	t.Helper()
	r, err := FindRule(t.Context(), programs(variants...), nattest.Subnet, nattest.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// applyOptions rewrites the rule with the options.
func applyOptions(t *testing.T, r *Rule, j *undo.Journal, o snat.Options) *AppliedRule {
	t.Helper()
	f, err := r.Apply(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
