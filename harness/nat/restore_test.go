package nat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/undo"
)

// Undoing is tried in every state that the chain may have come to, and twice:
// by the journal of the run, or by one that another process opens.
func TestARewrittenRuleIsRestoredFromAnyState(t *testing.T) {
	const theirs = "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
	const later = "-s 10.0.0.0/8 ! -o docker1 -j MASQUERADE"
	rewritten := ours + " --random-fully"
	for _, c := range []struct {
		name    string
		between string   // with $i for iptables on the table
		want    []string // the chain when all is undone
	}{
		{"nothing happened", "", []string{theirs, ours, later}},
		{"a rule was inserted above", "$i -I POSTROUTING -s 10.1.0.0/16 -j RETURN", []string{"-s 10.1.0.0/16 -j RETURN", theirs, ours, later}},
		{"the rule above was deleted", "$i -D POSTROUTING 1", []string{ours, later}},
		{"many were inserted and deleted",
			"for n in 1 2 3 4; do $i -I POSTROUTING $n -s 10.$n.0.0/16 -j RETURN; done; $i -D POSTROUTING 2; $i -D POSTROUTING " + later,
			[]string{"-s 10.1.0.0/16 -j RETURN", "-s 10.3.0.0/16 -j RETURN", "-s 10.4.0.0/16 -j RETURN", theirs, ours}},
		{"Docker put its original back above", "$i -I POSTROUTING " + ours, []string{ours, theirs, later}},
		{"Docker put its original back below", "$i -A POSTROUTING " + ours, []string{theirs, later, ours}},
		{"Docker wrote all its rules anew", "$i -F POSTROUTING; $i -A POSTROUTING " + ours + "; $i -A POSTROUTING " + theirs, []string{ours, theirs}},
		{"the network is gone, and its rule", "$i -D POSTROUTING " + rewritten, []string{theirs, later}},
		{"all rules are gone", "$i -F POSTROUTING", nil},
		{"it was restored by hand", "$i -R POSTROUTING 2 " + ours, []string{theirs, ours, later}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, restore := range map[string]func(t *testing.T, f *InForce, j *undo.Journal, path string){
				"by the arm":         func(t *testing.T, f *InForce, j *undo.Journal, _ string) { undoArm(t, f); undoArm(t, f) },
				"by the run's end":   func(t *testing.T, _ *InForce, j *undo.Journal, _ string) { closeJournal(t, j); closeJournal(t, j) },
				"by another process": func(t *testing.T, _ *InForce, _ *undo.Journal, path string) { replay(t, path); replay(t, path) },
			} {
				t.Run(name, func(t *testing.T) {
					eachVariant(t, func(t *testing.T, tables *Tables) {
						tables.rules(t, theirs, ours, later)
						j, path := newJournal(t)
						f := apply(t, find(t, tables), j, Options{RandomFully: true})
						sh(t, fmt.Sprintf("set -e; i='%s -t nat'; %s", tables.Path, c.between))
						restore(t, f, j, path)
						tables.reads(t, c.want...)
					})
				})
			}
		})
	}
}

// reads checks what the chain's rules are, without their counters.
func (t *Tables) reads(test *testing.T, want ...string) {
	test.Helper()
	rules, err := t.list(test.Context(), table, chain)
	if err != nil {
		test.Fatal(err)
	}
	got := texts(rules)
	if len(got) != len(want) {
		test.Fatalf("the chain reads %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != "-A POSTROUTING "+want[i] {
			test.Errorf("rule %d is %q, want %q", i+1, got[i], want[i])
		}
	}
}

func undoArm(t *testing.T, f *InForce) {
	t.Helper()
	if err := f.Undo(t.Context()); err != nil {
		t.Error(err)
	}
}

// replay undoes what a copy of a journal says, as if its process had died.
func replay(t *testing.T, path string) {
	t.Helper()
	dead := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(dead, []byte(read(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := undo.Open(dead, Undoers())
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Steps()) == 0 {
		t.Error("the journal holds no step")
	}
	closeJournal(t, j)
}

func TestAStepWhoseChangeWasNeverMadeIsUndone(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.busy(t)
		before := tables.listing(t)
		a := accept{Path: tables.Path, Chain: "FORWARD", Spec: []string{"-i", "a", "-o", "b", "-j", "ACCEPT"}}
		steps := []undo.Step{undo.NewStep(KindRewrite, "", "", step(tables)), undo.NewStep(KindAccept, "", "", a)}
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		tables.unchanged(t, before)
	})
}

// A crash between the two commands that a rewriting takes leaves both rules.
func TestHalfARewritingIsUndone(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.busy(t)
		before := tables.listing(t)
		for _, at := range []int{oursAt, oursAt + 1} { // cut off while it was rewritten, or while it was restored
			sh(t, fmt.Sprintf("%s -t nat -I POSTROUTING %d %s --random-fully", tables.Path, at, ours))
			for range 2 {
				if err := step(tables).restore(t.Context()); err != nil {
					t.Fatal(err)
				}
				tables.unchanged(t, before)
			}
		}
	})
}

// Docker looks for the original when it removes a network, and leaves the
// rewritten rule behind (seen on 20.10). To restore that would leave a rule of
// no network.
func TestARewrittenRuleOfANetworkThatIsGoneIsDeleted(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, others[0], ours, others[1])
		j, _ := newJournal(t)
		apply(t, find(t, tables), j, Options{RandomFully: true})
		link, err := netlink.LinkByName(bridge)
		if err := errors.Join(err, netlink.LinkDel(link)); err != nil {
			t.Fatal(err)
		}
		closeJournal(t, j)
		tables.reads(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", "-s 198.18.0.0/24 ! -o snat-s -j MASQUERADE")
	})
}

// The network is removed after its rule, by hand as well: nobody would delete
// the original then, if it were put back.
func TestTheManualCommandLeavesNoRuleOfTheNetwork(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		for _, o := range []Options{{RandomFully: true}, {Random: true}} {
			sh(t, tables.Path+" -t nat -F POSTROUTING")
			tables.rules(t, others[0], ours)
			j, _ := newJournal(t)
			apply(t, find(t, tables), j, o)
			sh(t, j.Steps()[0].Manual)
			tables.reads(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
			closeJournal(t, j)
			tables.reads(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
		}
	})
}

func TestAProgramThatIsGoneLeavesTheStepToBeUndone(t *testing.T) {
	namespace(t)
	tables := program(t, "nft")
	tables.rules(t, ours)
	j, path := newJournal(t)
	apply(t, find(t, tables), j, Options{RandomFully: true})
	searched := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir())
	if err := j.Close(t.Context()); err == nil {
		t.Error("undone without iptables")
	}
	t.Setenv("PATH", searched)
	replay(t, path)
	tables.reads(t, ours)
}
