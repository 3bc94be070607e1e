// Package nat makes and finds the masquerade rule of a network, rewrites it in
// place, and restores it to the letter.
//
// Rules are handled through the iptables program in the variant, nft or
// legacy, that holds them, or natively through nftables. A rule is found by
// its text and its mark each time, never by a remembered position or handle:
// others add and delete rules above ours. Every change is a step of the undo
// journal.
//
// Widen adds idle rules, between NAT and the insertion of a connection's entry.
//
// All of it happens in the network namespace of the calling thread, undoing
// included.
package nat

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// Rule is the masquerade rule of one network, as its owner made it.
type Rule struct {
	Text    string // as `iptables -S` or `nft -s list ruleset` prints it
	Lasting bool   // its network outlives the run, and needs it
	mark    string // empty for a rule that another program made
	backend backend
}

// backend is what holds masquerade rules: iptables in one of its variants, or
// nftables.
type backend interface {
	program() string                                  // with its version: "iptables 1.8.9 (nft)"
	place() string                                    // of its masquerade rules: "POSTROUTING"
	rewritten(original string, o snat.Options) string // the text of the rule with options
	read(context.Context) ([]rule, error)             // all rules of that place, in order
	// replace puts a rule, which has these options, in the place of another; at
	// no moment is there neither.
	replace(ctx context.Context, old, written rule, o snat.Options) error
	remove(context.Context, rule) error
	rewriting(original, rewritten rule, lasting bool) undo.Step // undone by restore
	mark(*undo.Journal) string                                  // of rules that are written for it; empty: none
}

// rule is one rule as a backend lists it.
type rule struct {
	text    string // without the mark
	mark    string // see markOf
	packets uint64
}

// position finds a rule by its text and its mark; 0 means that it is not there.
func position(rules []rule, r rule) int { return 1 + slices.IndexFunc(rules, r.is) }

// Tables is the variant of iptables that holds the rule; nil if nftables does.
func (r *Rule) Tables() *Tables {
	t, _ := r.backend.(*Tables)
	return t
}

// Program names what holds the rule: "iptables 1.8.9 (nft)", or "nftables".
func (r *Rule) Program() string { return r.backend.program() }

// InForce is the masquerade rule as it stands for an arm.
type InForce struct {
	rule    rule // without its counter
	lasting bool
	backend backend
	journal *undo.Journal
	entry   *undo.Entry // nil: the rule is the original
}

// Apply gives the rule the options; at no moment is there no rule. Without
// options the rule stays what it is. What Check refuses is refused before
// anything is changed.
func (r *Rule) Apply(ctx context.Context, journal *undo.Journal, options snat.Options) (*InForce, error) {
	f := &InForce{rule: r.original(), lasting: r.Lasting, backend: r.backend, journal: journal}
	if options == (snat.Options{}) {
		_, err := f.Packets(ctx) // is it still there?
		return f, err
	}
	if err := r.Check(ctx, options); err != nil {
		return nil, err
	}
	if err := f.apply(ctx, options); err != nil { // perhaps half-way
		return nil, errors.Join(fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err), f.Undo(undo.Context(ctx)))
	}
	return f, nil
}

// apply writes the rule with its mark. A kernel without xt_comment refuses a
// marked rule, so a rule that is refused is written once more without it.
func (f *InForce) apply(ctx context.Context, options snat.Options) error {
	original := f.rule
	f.rule = rule{text: f.backend.rewritten(original.text, options), mark: f.backend.mark(f.journal)}
	err := f.write(ctx, original, options)
	if _, refused := errors.AsType[*refusedError](err); !refused || f.rule.mark == "" {
		return err
	}
	if undoErr := f.Undo(undo.Context(ctx)); undoErr != nil {
		return errors.Join(err, undoErr)
	}
	f.rule.mark = ""
	return f.write(ctx, original, options)
}

func (f *InForce) write(ctx context.Context, original rule, options snat.Options) error {
	entry, err := f.journal.Do(ctx, f.backend.rewriting(original, f.rule, f.lasting), func(ctx context.Context) error {
		return swap(ctx, f.backend, original, f.rule, options)
	})
	f.entry = &entry
	return err
}

// refusedError is the error of a rule that was not inserted.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// Rule is the text of the rule in force.
func (f *InForce) Rule() string { return f.rule.text }

// Packets counts what the rule matched since it was written: the first packet
// of each connection. That the rule is gone is an error: somebody rewrote it.
func (f *InForce) Packets(ctx context.Context) (uint64, error) {
	rules, err := f.backend.read(ctx)
	if err != nil {
		return 0, err
	}
	at := position(rules, f.rule)
	if at == 0 {
		return 0, fmt.Errorf("the masquerade rule %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)",
			f.rule.text, f.backend.place())
	}
	return rules[at-1].packets, nil
}

// Undo puts the original rule back.
func (f *InForce) Undo(ctx context.Context) error {
	if f.entry == nil {
		return nil
	}
	return f.journal.Undo(ctx, *f.entry)
}

// swap puts a rule in the place of another and looks that it stands there.
func swap(ctx context.Context, b backend, old, written rule, o snat.Options) error {
	if err := b.replace(ctx, old, written, o); err != nil {
		return err
	}
	return lookAt(ctx, b, old, written)
}

// lookAt checks that one rule stands there, and another does not.
func lookAt(ctx context.Context, b backend, old, written rule) error {
	after, err := b.read(ctx)
	if err != nil {
		return err
	}
	if position(after, written) == 0 || position(after, old) != 0 {
		return fmt.Errorf("%s took the rule, but %s now reads %q", b.program(), b.place(), texts(after))
	}
	return nil
}

// restore undoes a rewriting. If the original is there already, as after a
// restart of Docker, the rewritten rule is one too many, and so is the rule of
// a network that is gone. If neither rule is there, nothing is left to restore.
//
// Every rule with our mark is ours, copies included. Without a mark only one
// rule of that text can be ours.
func restore(ctx context.Context, b backend, original, rewritten rule, networkGone bool) error {
	rules, err := b.read(ctx)
	if err != nil {
		return err
	}
	n := count(rules, rewritten)
	if n > 1 && rewritten.mark == "" {
		return ambiguous(b.place(), rules, rewritten)
	}
	restored := n > 0 && position(rules, original) == 0 && !networkGone
	if restored {
		if err := b.replace(ctx, rewritten, original, snat.Options{}); err != nil {
			return err
		}
		n--
	}
	for range n {
		if err := b.remove(ctx, rewritten); err != nil {
			return err
		}
	}
	if restored {
		return lookAt(ctx, b, rewritten, original)
	}
	return nil
}

// absent is the error of a rule that is looked for in vain.
func absent(b backend, text string) error { return fmt.Errorf("no rule %q in %s", text, b.place()) }

func texts(rules []rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.text)
	}
	return all
}

// Undoers returns the undoers of the steps that this package and nftables journal.
func Undoers() undo.Undoers {
	all := undo.Undoers{
		KindAccept:          undo.NewUndoer(func(ctx context.Context, s accept) error { return s.remove(ctx) }),
		KindMasquerade:      undo.NewUndoer(func(ctx context.Context, s masquerade) error { return s.remove(ctx) }),
		KindRewrite:         undo.NewUndoer(func(ctx context.Context, s rewrite) error { return s.restore(ctx) }),
		nftablesRewriteKind: undo.NewUndoer(func(ctx context.Context, s nftablesRewrite) error { return s.restore(ctx) }),
	}
	maps.Copy(all, nftables.Undoers())
	return all
}
