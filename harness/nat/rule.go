// Package nat makes and finds the masquerade rule of a network, rewrites it in
// place, and restores it to the letter.
//
// Package iptables changes rules through the program of the variant, nft or
// legacy, that holds them; package nftables changes them over netlink. A rule is
// found by its text and its mark each time, never by a remembered position or
// handle: other programs add and delete rules above ours. Every change is a step
// of the undo journal.
//
// Everything, undoing included, happens in the network namespace of the calling
// thread.
package nat

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"snatlab/harness/nat/idle"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// Rule is the masquerade rule of one network, as its owner made it.
type Rule struct {
	Text string // as `iptables -S` or `nft -s list ruleset` prints it
	// OutlivesRun is set if the network outlives the run. Such a rule has to be
	// restored, not deleted.
	OutlivesRun bool
	mark        string // empty for a rule that another program made
	backend     backend
	control     *ControlRule // nil: none was inserted
}

// IPTables returns the variant of iptables that holds the rule, or nil if
// nftables holds it.
func (r *Rule) IPTables() *iptables.Program {
	b, _ := r.backend.(iptablesBackend)
	return b.Program
}

// Program returns the name of the program that holds the rule: "iptables 1.8.9
// (nft)", or "nftables".
func (r *Rule) Program() string { return r.backend.programName() }

func (r *Rule) originalRule() rule { return rule{text: r.Text, mark: r.mark} }

// backend holds masquerade rules: iptables in one of its variants, or nftables.
type backend interface {
	programName() string                                // with its version: "iptables 1.8.9 (nft)"
	placeName() string                                  // of its masquerade rules: "POSTROUTING"
	rewriteText(original string, o snat.Options) string // the text of the rule with options
	readRules(context.Context) ([]rule, error)          // all rules of that place, in order
	// replaceRule writes a rule with these options and deletes the old one, which is in
	// rules, just listed. At every moment one of the two exists.
	replaceRule(ctx context.Context, rules []rule, old, written rule, o snat.Options) error
	deleteRule(context.Context, rule) error
	newRewriteStep(original, rewritten rule, outlivesRun bool) undo.Step // undone by restoreRule
	newMark(*undo.Journal) string                                        // of rules that are written for it; empty: none
	// insertControl inserts, as a step of the journal, the rule of the control before
	// the rule of the network.
	insertControl(ctx context.Context, journal *undo.Journal, network rule, of snat.Connections) (rule, error)
	// partText returns the text of a rule for a part of the connections of the network
	// whose rule has this text as its owner made it.
	partText(network string, p snat.Part) (string, error)
	// insertPart inserts such a rule, as a step of the journal, before the rule that the
	// network has now. The entry is nil if nothing was journalled.
	insertPart(ctx context.Context, journal *undo.Journal, now rule, network string, p snat.Part) (rule, *undo.Entry, error)
}

// rule is one rule as a backend lists it.
type rule struct {
	text    string // without the mark
	mark    string // see markOf
	packets uint64
}

// positionOf returns the position of the rule with the same text and mark, or 0
// if there is none.
func positionOf(rules []rule, r rule) int { return 1 + slices.IndexFunc(rules, r.equals) }

// ruleTexts returns the texts of rules.
func ruleTexts(rules []rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.text)
	}
	return all
}

// noRuleError returns the error for a rule that is not there.
func noRuleError(b backend, text string) error {
	return fmt.Errorf("no rule %q in %s", text, b.placeName())
}

// Undoers returns the undoers of the steps that this package, nftables and idle
// journal.
func Undoers() undo.Undoers {
	all := undo.Undoers{
		controlKind:         undo.NewUndoer(func(ctx context.Context, s controlStep) error { return s.deleteRule(ctx) }),
		partKind:            undo.NewUndoer(func(ctx context.Context, s partStep) error { return s.deleteRule(ctx) }),
		acceptKind:          undo.NewUndoer(func(ctx context.Context, s acceptStep) error { return s.deleteRule(ctx) }),
		masqueradeKind:      undo.NewUndoer(func(ctx context.Context, s masqueradeStep) error { return s.deleteRule(ctx) }),
		rewriteKind:         undo.NewUndoer(func(ctx context.Context, s rewriteStep) error { return s.restoreRule(ctx) }),
		nftablesRewriteKind: undo.NewUndoer(func(ctx context.Context, s nftablesRewrite) error { return s.restoreRule(ctx) }),
	}
	maps.Copy(all, nftables.Undoers())
	maps.Copy(all, idle.Undoers())
	return all
}
