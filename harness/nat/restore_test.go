package nat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// Undoing is tried in every state that the chain may have reached, and twice:
// by the arm, at the run's end, and by another process.
func TestRestoreAnyState(t *testing.T) {
	for _, c := range []struct {
		name    string
		between func(t *testing.T, f firewall, ours string)
		want    string // the chain after undoing: ours, and foreign rules by their numbers
	}{
		{"nothing happened", func(*testing.T, firewall, string) {}, "1 ours 2"},
		{"a rule was inserted above", func(t *testing.T, f firewall, _ string) { f.insert(t, f.theirs(3)) }, "3 1 ours 2"},
		{"the rule above was deleted", func(t *testing.T, f firewall, _ string) { f.remove(t, 1) }, "ours 2"},
		{"many rules were inserted and deleted", func(t *testing.T, f firewall, _ string) {
			for n := range 4 {
				f.insert(t, f.theirs(3+n))
			}
			f.remove(t, 2)
			f.remove(t, 6)
		}, "6 4 3 1 ours"},
		{"the owner restored the original above", func(t *testing.T, f firewall, ours string) { f.insert(t, ours) }, "ours 1 2"},
		{"the owner restored the original below", func(t *testing.T, f firewall, ours string) { f.add(t, ours) }, "1 2 ours"},
		{"the owner rewrote all rules", func(t *testing.T, f firewall, ours string) {
			f.flush(t)
			f.add(t, ours)
			f.add(t, f.theirs(1))
		}, "ours 1"},
		{"the network is gone, and its rule", func(t *testing.T, f firewall, _ string) { f.remove(t, 2) }, "1 2"},
		{"all rules are gone", func(t *testing.T, f firewall, _ string) { f.flush(t) }, ""},
		{"it was restored by hand", func(t *testing.T, f firewall, ours string) { f.replace(t, 2, ours) }, "1 ours 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, restore := range map[string]func(t *testing.T, f *AppliedRule, j *undo.Journal, path string){
				"by the arm": func(t *testing.T, f *AppliedRule, j *undo.Journal, _ string) { undoRule(t, f); undoRule(t, f) },
				"by the run's end": func(t *testing.T, _ *AppliedRule, j *undo.Journal, _ string) {
					nattest.CloseJournal(t, j)
					nattest.CloseJournal(t, j)
				},
				"by another process": func(t *testing.T, _ *AppliedRule, _ *undo.Journal, path string) {
					replayCopy(t, path)
					replayCopy(t, path)
				},
			} {
				t.Run(name, func(t *testing.T) {
					eachFirewall(t, func(t *testing.T, f firewall) {
						r, _ := makeUnmarked(t, f)
						f.insert(t, f.theirs(1))
						f.add(t, f.theirs(2))
						j, path := nattest.NewJournal(t, Undoers())
						inForce := applyOptions(t, r, j, snat.Options{RandomFully: true})
						c.between(t, f, r.Text)
						restore(t, inForce, j, path)
						var want []string
						for _, word := range strings.Fields(c.want) {
							rule := r.Text
							if n, err := strconv.Atoi(word); err == nil {
								rule = f.theirs(n)
							}
							want = append(want, rule)
						}
						checkRules(t, f, want...)
					})
				})
			}
		})
	}
}

// checkRules compares the rules of the chain, without their counters.
func (t variant) checkRules(test *testing.T, want ...string) {
	test.Helper()
	rules, err := iptablesBackend(t).readRules(test.Context())
	if err != nil {
		test.Fatal(err)
	}
	got := ruleTexts(rules)
	if len(got) != len(want) {
		test.Fatalf("the chain reads %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != "-A POSTROUTING "+want[i] {
			test.Errorf("rule %d is %q, want %q", i+1, got[i], want[i])
		}
	}
}

func undoRule(t *testing.T, f *AppliedRule) {
	t.Helper()
	if err := f.Undo(t.Context()); err != nil {
		t.Error(err)
	}
}

// replayCopy undoes the steps of a copy of the journal, as if its process had
// died.
func replayCopy(t *testing.T, path string) {
	t.Helper()
	dead := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(dead, []byte(nattest.ReadFile(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := undo.OpenJournal(dead, Undoers())
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Steps()) == 0 {
		t.Error("the journal holds no step")
	}
	nattest.CloseJournal(t, j)
}

// A journal outlives the version that wrote it. These lines are from the first
// version.
func TestUndoOldJournal(t *testing.T) {
	eachFirewall(t, func(t *testing.T, f firewall) {
		r, _, _ := makeRule(t, f)
		f.insert(t, f.theirs(1))
		before := f.listing(t)
		for _, o := range []snat.Options{{Random: true}, {RandomFully: true}} {
			f.replace(t, 2, f.ours(o))
			kind, path := "nat.nftables-rewrite", ""
			if tables := r.IPTables(); tables != nil {
				kind, path = "nat.rewrite", fmt.Sprintf(`"path":%q,`, tables.Path)
			}
			journal := filepath.Join(t.TempDir(), "run.journal")
			err := os.WriteFile(journal, fmt.Appendf(nil, `{"header":{"version":1,"run":"run","pid":4711,"started":"2026-01-02T03:04:05Z"}}
{"do":{"number":0,"step":{"kind":%q,"what":"w","manual":"m","args":{%s"original":%q,"rewritten":%q}}}}
`, kind, path, r.Text, f.ours(o)), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			replayCopy(t, journal)
			nattest.CheckUnchanged(t, before, f.listing(t))
		}
	})
}

// A step whose change was never made is undone without a change.
func TestUndoUnmadeStep(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addBusy(t)
		before := tables.listCounted(t)
		a := acceptStep{Path: tables.Path, Chain: "DOCKER-USER", Spec: []string{"-i", "a", "-o", "b", "-j", "ACCEPT"}}
		steps := []undo.Step{undo.NewStep(rewriteKind, "", "", stepOf(tables)), undo.NewStep(acceptKind, "", "", a)}
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
		tables.checkUnchanged(t, before)
	})
}

// A crash between the two commands of a rewriting leaves both rules.
func TestUndoHalfRewrite(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addBusy(t)
		before := tables.listCounted(t)
		for _, at := range []int{oursAt, oursAt + 1} { // interrupted while it was rewritten, or while it was restored
			netnstest.Run(t, fmt.Sprintf("%s -t nat -I POSTROUTING %d %s --random-fully", tables.Path, at, ours))
			for range 2 {
				if err := stepOf(tables).restoreRule(t.Context()); err != nil {
					t.Fatal(err)
				}
				tables.checkUnchanged(t, before)
			}
		}
	})
}

// When Docker removes a network it looks for the original rule, and leaves the
// rewritten one behind (seen on 20.10). Restoring the original would leave a
// rule without a network, so the rewritten rule is deleted.
func TestUndoNetworkGone(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addRules(t, nattest.ForeignRules[0], ours, nattest.ForeignRules[1])
		j, _ := nattest.NewJournal(t, Undoers())
		applyOptions(t, findOurs(t, tables), j, snat.Options{RandomFully: true})
		link, err := netlink.LinkByName(nattest.Bridge)
		if err := errors.Join(err, netlink.LinkDel(link)); err != nil {
			t.Fatal(err)
		}
		nattest.CloseJournal(t, j)
		tables.checkRules(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", "-s 198.18.0.0/24 ! -o snat-s -j MASQUERADE")
	})
}

// By hand, too, the network is removed after its rule. A restored original
// would then stay, so the manual command leaves no rule of the network.
func TestRewriteManualDeletes(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		for _, o := range []snat.Options{{RandomFully: true}, {Random: true}} {
			netnstest.Run(t, tables.Path+" -t nat -F POSTROUTING")
			tables.addRules(t, nattest.ForeignRules[0], ours)
			j, _ := nattest.NewJournal(t, Undoers())
			applyOptions(t, findOurs(t, tables), j, o)
			netnstest.Run(t, j.Steps()[0].Manual)
			tables.checkRules(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
			nattest.CloseJournal(t, j)
			tables.checkRules(t, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
		}
	})
}

// A network that outlives the run still needs its rule, so the manual command
// restores it.
func TestRewriteManualRestores(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		for _, o := range []snat.Options{{RandomFully: true}, {Random: true}} {
			netnstest.Run(t, tables.Path+" -t nat -F POSTROUTING")
			tables.addRules(t, nattest.ForeignRules[0], ours)
			r := findOurs(t, tables)
			r.OutlivesRun = true
			j, _ := nattest.NewJournal(t, Undoers())
			applyOptions(t, r, j, o)
			netnstest.Run(t, j.Steps()[0].Manual)
			tables.checkRules(t, ours, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
			nattest.CloseJournal(t, j)
			tables.checkRules(t, ours, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE")
		}
	})
}

// If iptables is gone, the step stays in the journal and can be undone later.
func TestUndoProgramGone(t *testing.T) {
	nattest.EnterNamespace(t)
	tables := openVariant(t, "nft")
	tables.addRules(t, ours)
	j, path := nattest.NewJournal(t, Undoers())
	applyOptions(t, findOurs(t, tables), j, snat.Options{RandomFully: true})
	searched := os.Getenv("PATH")
	t.Setenv("PATH", t.TempDir())
	if err := j.Close(t.Context()); err == nil {
		t.Error("undone without iptables")
	}
	t.Setenv("PATH", searched)
	replayCopy(t, path)
	tables.checkRules(t, ours)
}
