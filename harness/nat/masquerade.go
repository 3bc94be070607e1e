// Package nat makes and finds the masquerade rule of a network, rewrites it in
// place, and restores it to the letter.
//
// Rules are handled through the iptables program in the variant, nft or
// legacy, that holds them, or natively through nftables. A rule is found by
// its text each time, never by a remembered position or handle: others add and
// delete rules above ours. Every change is a step of the undo journal.
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
	"slices"

	"snatlab/harness/undo"
)

// Rule is the masquerade rule of one network, as its owner made it.
type Rule struct {
	Text    string // as `iptables -S` or `nft -s list ruleset` prints it
	Lasting bool   // its network outlives the run, and needs it
	backend backend
}

// backend is what holds masquerade rules: iptables in one of its variants, or
// nftables.
type backend interface {
	program() string                             // with its version: "iptables 1.8.9 (nft)"
	place() string                               // of its masquerade rules: "POSTROUTING"
	rewritten(original string, o Options) string // the text of the rule with options
	read(context.Context) ([]rule, error)        // all rules of that place, in order
	// replace puts a rule, which has these options, in the place of another; at
	// no moment is there neither.
	replace(ctx context.Context, old, text string, o Options) error
	remove(ctx context.Context, text string) error
	rewriting(original, rewritten string, lasting bool) undo.Step // undone by restore
}

// rule is one rule as a backend lists it.
type rule struct {
	text    string
	packets uint64
}

// position finds a rule by its text; 0 means that it is not there.
func position(rules []rule, text string) int {
	return 1 + slices.IndexFunc(rules, func(r rule) bool { return r.text == text })
}

// Tables is the variant of iptables that holds the rule; nil if nftables does.
func (r *Rule) Tables() *Tables {
	t, _ := r.backend.(*Tables)
	return t
}

// Program names what holds the rule: "iptables 1.8.9 (nft)", or "nftables".
func (r *Rule) Program() string { return r.backend.program() }

// InForce is the masquerade rule as it stands for an arm.
type InForce struct {
	text    string
	lasting bool
	backend backend
	journal *undo.Journal
	entry   *undo.Entry // nil: the rule is the original
}

// Apply gives the rule the options; at no moment is there no rule. Without
// options the rule stays what it is.
func (r *Rule) Apply(ctx context.Context, journal *undo.Journal, options Options) (*InForce, error) {
	f := &InForce{text: r.Text, lasting: r.Lasting, backend: r.backend, journal: journal}
	if options == (Options{}) {
		_, err := f.Packets(ctx) // is it still there?
		return f, err
	}
	if err := f.apply(ctx, options); err != nil { // perhaps half-way
		return nil, errors.Join(fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err), f.Undo(undo.Context(ctx)))
	}
	return f, nil
}

func (f *InForce) apply(ctx context.Context, options Options) error {
	if err := options.check(); err != nil {
		return err
	}
	original := f.text
	f.text = f.backend.rewritten(original, options)
	entry, err := f.journal.Do(ctx, f.backend.rewriting(original, f.text, f.lasting), func(ctx context.Context) error {
		return swap(ctx, f.backend, original, f.text, options)
	})
	f.entry = &entry
	return err
}

// Rule is the text of the rule in force.
func (f *InForce) Rule() string { return f.text }

// Packets counts what the rule matched since it was written: the first packet
// of each connection. That the rule is gone is an error: somebody rewrote it.
func (f *InForce) Packets(ctx context.Context) (uint64, error) {
	rules, err := f.backend.read(ctx)
	if err != nil {
		return 0, err
	}
	at := position(rules, f.text)
	if at == 0 {
		return 0, fmt.Errorf("the masquerade rule %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)",
			f.text, f.backend.place())
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
func swap(ctx context.Context, b backend, old, text string, o Options) error {
	if err := b.replace(ctx, old, text, o); err != nil {
		return err
	}
	after, err := b.read(ctx)
	if err != nil {
		return err
	}
	if position(after, text) == 0 || position(after, old) != 0 {
		return fmt.Errorf("%s took the rule, but %s now reads %q", b.program(), b.place(), texts(after))
	}
	return nil
}

// restore undoes a rewriting. If the original is there already, as after a
// restart of Docker, the rewritten rule is one too many, and so is the rule of
// a network that is gone. If neither rule is there, nothing is left to restore.
func restore(ctx context.Context, b backend, original, rewritten string, networkGone bool) error {
	rules, err := b.read(ctx)
	switch {
	case err != nil:
		return err
	case position(rules, rewritten) == 0:
		return nil
	case position(rules, original) != 0, networkGone:
		return b.remove(ctx, rewritten)
	}
	return swap(ctx, b, rewritten, original, Options{})
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

// Undoers undo what this package changes.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindAccept:          undo.With(func(ctx context.Context, s accept) error { return s.remove(ctx) }),
		KindMasquerade:      undo.With(func(ctx context.Context, s masquerade) error { return s.remove(ctx) }),
		KindRewrite:         undo.With(func(ctx context.Context, s rewrite) error { return s.restore(ctx) }),
		KindNFTables:        undo.With(func(ctx context.Context, s ownTable) error { return s.remove(ctx) }),
		KindNFTablesRewrite: undo.With(func(ctx context.Context, s nftRewrite) error { return s.restore(ctx) }),
		KindWiden:           undo.With(func(ctx context.Context, s widened) error { return s.remove(ctx) }),
	}
}
