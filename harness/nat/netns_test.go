package nat

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// eachVariant runs a test with iptables-nft and with iptables-legacy, each in
// a namespace of its own.
func eachVariant(t *testing.T, test func(t *testing.T, tables *Tables)) {
	t.Helper()
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			nattest.EnterNamespace(t)
			test(t, program(t, variant))
		})
	}
}

// program gives a variant that works in the test's namespace.
func program(t *testing.T, variant string) *Tables {
	t.Helper()
	tables, err := open("iptables-" + variant)
	if err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	if out, err := exec.Command(tables.Path, "-t", "nat", "-S").CombinedOutput(); strings.Contains(string(out), "Table does not exist") {
		t.Skipf("a kernel without %s tables: %s", variant, out)
	} else if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return tables
}

// rules writes rules into a chain of the nat table, as `iptables -A` takes them.
func (t *Tables) rules(test *testing.T, rules ...string) {
	test.Helper()
	for _, r := range rules {
		netnstest.Run(test, t.Path+" -t nat -A POSTROUTING "+r)
	}
}

// listing returns the chain's lines as iptables prints them, with the counters and
// without our mark.
func (t *Tables) listing(test *testing.T) []string {
	test.Helper()
	return strings.Split(strings.TrimSpace(unmarked(netnstest.Run(test, t.Path+" -t nat -v -S POSTROUTING 2>/dev/null"))), "\n")
}

// unmarked removes the marks that rules of a journal of NewJournal carry.
func unmarked(listing string) string {
	return strings.ReplaceAll(listing, commentText("snatlab-run"), "")
}

// unchanged reports where a listing is another than it was.
func (t *Tables) unchanged(test *testing.T, before []string) {
	test.Helper()
	nattest.CheckUnchanged(test, before, t.listing(test))
}

// ours is the rule that is rewritten in these tests, that of nattest's network.
const ours = "-s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"

// others are the rules of others around ours, with counters that have moved.
var others = []string{
	"-c 7 420 -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
	"-c 1 60 -s 198.18.0.0/24 ! -o snat-s -j MASQUERADE",
	"-c 2 120 -s 198.18.1.0/24 ! -o snat-c -j MASQUERADE",
	"-c 3 180 -s 198.18.0.0/24 -o snat-c -j MASQUERADE",
	"-c 4 240 -s 198.18.2.0/24 ! -o snat-2 -j MASQUERADE --random-fully",
	"-c 5 300 -s 198.18.0.0/24 ! -o snat-c -p tcp -j MASQUERADE --to-ports 1024-65535",
	`-c 6 360 -s 198.18.0.0/24 ! -o snat-c -m comment --comment "it's \"ours\" -c 0 0 #not" -j MASQUERADE`,
	"-c 8 480 -s 198.18.0.0/24 ! -o snat-c -m comment --comment -c -j MASQUERADE",
	"-c 9 540 -s 198.18.0.0/25 ! -o snat-c -j MASQUERADE",
	"-c 10 600 -s 198.18.0.0/24 ! -o snat-c+ -j RETURN",
	"-c 11 660 -s 198.18.0.2/32",
}

// busy writes our rule between those of others.
func (t *Tables) busy(test *testing.T) {
	test.Helper()
	t.rules(test, slices.Concat(others[:6], []string{"-c 12 720 " + ours}, others[6:])...)
}

// find gives the rule of the network in these tests.
func find(t *testing.T, variants ...*Tables) *Rule {
	t.Helper()
	r, err := Find(t.Context(), variants, nattest.Subnet, nattest.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// apply gives the rule the options.
func apply(t *testing.T, r *Rule, j *undo.Journal, o snat.Options) *InForce {
	t.Helper()
	f, err := r.Apply(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
