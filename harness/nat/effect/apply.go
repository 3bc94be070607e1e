package effect

import (
	"context"
	"errors"
	"fmt"

	"snatlab/harness/nat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// Applied are the rules that translate the lab's connections while an arm is in force.
type Applied struct {
	rules    *Rules
	journal  *undo.Journal
	own      []ownRule   // of the arm, one before each found rule; nil: the found rules translate
	counting []ownRule   // one before each found rule that has no counter, if connections pass it
	shared   bool        // connections that the rules of the arm leave pass the found rules
	entry    *undo.Entry // nil: nothing was inserted
	start    []uint64    // counters of the found rules when the arm was applied
}

// Apply puts an arm in force: before each found rule a rule of snatlab's own with its
// options, all of them or, after an error, none. Without options the found rules
// translate as they are. Options that Check refuses are refused before anything is
// changed.
func (r *Rules) Apply(ctx context.Context, journal *undo.Journal, o snat.Options) (*Applied, error) {
	if err := r.Check(ctx, o); err != nil {
		return nil, err
	}
	a := &Applied{rules: r, journal: journal, shared: o == (snat.Options{}) || o.PerMillion != 0}
	for n, f := range r.Found {
		if a.shared && f.Rule.Packets == nil {
			own := r.newOwn(journal, countRole, n)
			own.Counts = true
			a.counting = append(a.counting, own)
		}
		if o != (snat.Options{}) {
			own := r.newOwn(journal, armRole, n)
			own.Options, _ = r.standIn(f.Rule, o) // Check has tried it
			a.own = append(a.own, own)
		}
	}
	if err := a.insertAll(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("put rules before %s: %w", r.Text(), err), a.Undo(undo.Context(ctx)))
	}
	now, err := r.look(ctx) // an error if one of the found rules is gone
	if err == nil {
		a.start = now.original
		err = now.checkOrder(a.own)
	}
	if err != nil {
		return nil, errors.Join(err, a.Undo(undo.Context(ctx)))
	}
	return a, nil
}

func (a *Applied) insertAll(ctx context.Context) error {
	inserted := append(a.own[:len(a.own):len(a.own)], a.counting...)
	if len(inserted) == 0 {
		return nil
	}
	entry, err := insertRules(ctx, a.journal, inserted)
	a.entry = &entry
	return err
}

// Text returns the texts of the rules that translate.
func (a *Applied) Text() string {
	if a.own == nil {
		return a.rules.Text()
	}
	return textOf(a.own)
}

// DrawsPorts reports whether the rules draw source ports at random.
func (a *Applied) DrawsPorts() bool {
	if a.own == nil {
		return a.rules.DrawsPorts()
	}
	return a.own[0].Options.Random || a.own[0].Options.RandomFully
}

// Packets returns how many packets the rules matched since the arm was applied: the first
// packet of each connection. Without options those of other programs on the same rules
// are among them. It returns an error if a rule is gone, or is another one: its owner, or
// another program, rewrote the rules.
func (a *Applied) Packets(ctx context.Context) (uint64, error) {
	own, _, err := a.BothPackets(ctx)
	return own, err
}

// BothPackets returns in one reading what Packets of this arm and of the control returns,
// and 0 for a control that does not exist.
func (a *Applied) BothPackets(ctx context.Context) (own, control uint64, err error) {
	now, err := a.rules.look(ctx)
	if err != nil {
		return 0, 0, err
	}
	if err := now.checkOrder(a.own); err != nil {
		return 0, 0, err
	}
	if own, err = now.sumOwn("the rule of the arm", append(a.own[:len(a.own):len(a.own)], a.counting...)); err != nil {
		return 0, 0, err
	}
	if a.shared {
		for n, packets := range now.original {
			if packets < a.start[n] {
				return 0, 0, a.rules.goneError(n)
			}
			own += packets - a.start[n]
		}
	}
	if c := a.rules.control; c != nil {
		control, err = now.sumOwn("the rule of the control", c.own)
	}
	return own, control, err
}

// ReadCounters returns the counters of all other rules that translate.
func (a *Applied) ReadCounters(ctx context.Context) nat.RuleCounters {
	return readCounters(ctx, func(r Rule) bool {
		for _, f := range a.rules.Found {
			if f.Rule.isSame(r) {
				return true
			}
		}
		return false
	})
}

// Undo removes the rules of the arm.
func (a *Applied) Undo(ctx context.Context) error {
	if a.entry == nil {
		return nil
	}
	return a.journal.Undo(ctx, *a.entry)
}

// isSame reports whether two listings show one rule.
func (r Rule) isSame(other Rule) bool {
	a, b := r.at, other.at
	if a.legacy != nil || b.legacy != nil {
		return a.legacy != nil && b.legacy != nil && r.Text == other.Text
	}
	return a.table == b.table && a.handle == b.handle
}
