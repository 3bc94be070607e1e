package nat

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/undo"
)

// oursAt is the position of our rule in busy; in its listing, the line of the
// policy comes first.
const oursAt = 7

func TestApplyRewritesTheOneRuleInPlaceAndUndoRestoresIt(t *testing.T) {
	for flag, options := range map[string]Options{"--random-fully": {RandomFully: true}, "--random": {Random: true}} {
		t.Run(flag, func(t *testing.T) {
			eachVariant(t, func(t *testing.T, tables *Tables) {
				tables.busy(t)
				want := tables.listing(t)
				j, _ := newJournal(t)
				f := apply(t, find(t, tables), j, options)
				if want := "-A POSTROUTING " + ours + " " + flag; f.Rule() != want {
					t.Errorf("in force %q, want %q", f.Rule(), want)
				}
				want[oursAt] = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -c 0 0 -j MASQUERADE " + flag
				tables.unchanged(t, want) // but for that line

				want[oursAt] = "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -c 0 0 -j MASQUERADE"
				for range 2 {
					undoArm(t, f)
					tables.unchanged(t, want)
				}
				if len(j.Steps()) > 0 {
					t.Errorf("still to be undone: %v", j.Steps())
				}
			})
		})
	}
}

func TestArmsTakeTurnsAndLeaveTheRuleAsItWas(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, others[0], ours, others[1])
		before := tables.listing(t)
		j, _ := newJournal(t)
		r := find(t, tables)
		for range 2 {
			for _, o := range []Options{{}, {Random: true}, {RandomFully: true}} {
				f := apply(t, r, j, o)
				if want := strings.TrimSpace("-A POSTROUTING " + ours + " " + strings.Join(o.flags(), " ")); f.Rule() != want {
					t.Errorf("in force %q, want %q", f.Rule(), want)
				}
				undoArm(t, f)
			}
		}
		tables.unchanged(t, before)
		closeJournal(t, j)
		tables.unchanged(t, before)
	})
}

func TestApplyWithoutOptionsChangesNothingAndJournalsNothing(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.busy(t)
		before := tables.listing(t)
		j, path := newJournal(t)
		header := read(t, path)
		f := apply(t, find(t, tables), j, Options{})
		if f.Rule() != "-A POSTROUTING "+ours {
			t.Errorf("in force %q", f.Rule())
		}
		if n, err := f.Packets(t.Context()); n != 12 || err != nil {
			t.Errorf("%d packets, %v", n, err)
		}
		undoArm(t, f)
		tables.unchanged(t, before)
		if after := read(t, path); after != header {
			t.Errorf("journal reads\n%s", after)
		}
	})
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestApplyToARuleThatIsGoneIsAnErrorAndChangesNothing(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, others[0], ours)
		r := find(t, tables)
		sh(t, tables.Path+" -t nat -D POSTROUTING "+ours)
		before := tables.listing(t)
		j, _ := newJournal(t)
		if _, err := r.Apply(t.Context(), j, Options{}); err == nil {
			t.Error("applied nothing to a rule that is gone")
		}
		const text = `rewrite masquerade rule -A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE: ` +
			`no rule "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE" in POSTROUTING`
		if _, err := r.Apply(t.Context(), j, Options{RandomFully: true}); err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		tables.unchanged(t, before)
		closeJournal(t, j)
		tables.unchanged(t, before)
	})
}

func TestTheStepTellsWhatWasRewrittenAndHowToUndoItByHand(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, ours)
		j, _ := newJournal(t)
		apply(t, find(t, tables), j, Options{RandomFully: true})
		p := tables.Path
		want := []undo.Step{undo.NewStep("nat.rewrite",
			"masquerade rule -A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully",
			p+" -t nat -D POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully",
			rewrite{
				Path: p, Original: "-A POSTROUTING " + ours, Rewritten: "-A POSTROUTING " + ours + " --random-fully",
				Spec: strings.Fields(ours),
			})}
		if d := cmp.Diff(want, j.Steps()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		closeJournal(t, j)
	})
}

func TestPacketsCountsTheConnectionsSinceTheRuleWasWritten(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, "-c 7 420 -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", ours)
		j, _ := newJournal(t)
		r := find(t, tables)
		original := apply(t, r, j, Options{})
		counts(t, original, 0)
		send(t, 5)
		counts(t, original, 5)
		rewritten := apply(t, r, j, Options{RandomFully: true})
		counts(t, rewritten, 0)
		send(t, 3)
		send(t, 4)
		counts(t, rewritten, 7)
		undoArm(t, rewritten)
		counts(t, original, 0)
	})
}

func counts(t *testing.T, f *InForce, want uint64) {
	t.Helper()
	if got, err := f.Packets(t.Context()); got != want || err != nil {
		t.Errorf("%d packets (%v), want %d", got, err, want)
	}
}

func TestPacketsOfARuleThatSomebodyRewroteIsAnError(t *testing.T) {
	eachVariant(t, func(t *testing.T, tables *Tables) {
		tables.rules(t, ours)
		j, _ := newJournal(t)
		f := apply(t, find(t, tables), j, Options{RandomFully: true})
		counts(t, f, 0)
		// What a restart of Docker does.
		sh(t, tables.Path+" -t nat -F POSTROUTING; "+tables.Path+" -t nat -A POSTROUTING "+ours)
		_, err := f.Packets(t.Context())
		const text = `the masquerade rule "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c -j MASQUERADE --random-fully" is gone from POSTROUTING: ` +
			`something else rewrote the rules (a restart of Docker, a reload of the firewall?)`
		if err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		before := tables.listing(t)
		closeJournal(t, j)
		tables.unchanged(t, before)
	})
}
