package nat

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// oursAt is the position of our rule after addBusy. In listings the line of the
// policy comes first, so it is the index there.
const oursAt = 7

// Apply rewrites the one rule in place, and Undo restores it.
func TestApply(t *testing.T) {
	for flag, options := range map[string]snat.Options{"--random-fully": {RandomFully: true}, "--random": {Random: true}} {
		t.Run(flag, func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables variant) {
				tables.addBusy(t)
				want := tables.listCounted(t)
				j, _ := nattest.NewJournal(t, Undoers())
				checkPackets(t, applyOptions(t, findOurs(t, tables), j, snat.Options{}), 12)
				f := applyOptions(t, findOurs(t, tables), j, options)
				if want := "-A POSTROUTING " + ours + " " + flag; f.Text() != want {
					t.Errorf("in force %q, want %q", f.Text(), want)
				}
				want[oursAt] = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -c 0 0 -j MASQUERADE " + flag
				tables.checkUnchanged(t, want) // but for that line

				want[oursAt] = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -c 0 0 -j MASQUERADE"
				for range 2 {
					undoRule(t, f)
					tables.checkUnchanged(t, want)
				}
				if len(j.Steps()) > 0 {
					t.Errorf("still to be undone: %v", j.Steps())
				}
			})
		})
	}
}

// The step names the rewritten rule and the command that undoes it by hand.
func TestRewriteStep(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables variant) {
		tables.addRules(t, ours)
		j, _ := nattest.NewJournal(t, Undoers())
		applyOptions(t, findOurs(t, tables), j, snat.Options{RandomFully: true})
		p := tables.Path
		want := []undo.Step{undo.NewStep("nat.rewrite",
			"masquerade rule -A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully",
			p+" -t nat -D POSTROUTING -s 198.18.0.0/24 ! -o snat-c -m comment --comment snatlab-run -j MASQUERADE --random-fully",
			rewriteStep{Path: p, Original: "-A POSTROUTING " + ours,
				Rewritten: "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -m comment --comment snatlab-run -j MASQUERADE --random-fully"})}
		if d := cmp.Diff(want, j.Steps()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		nattest.CloseJournal(t, j)
	})
}
