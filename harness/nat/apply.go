package nat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// AppliedRule is the masquerade rule as it stands for an arm.
type AppliedRule struct {
	rule        rule   // without its counter
	parts       []rule // for parts of the connections, before rule, in order
	outlivesRun bool
	backend     backend
	control     *ControlRule // nil: there is none
	journal     *undo.Journal
	entries     []undo.Entry // oldest first; none: nothing was changed
	listed      []rule       // the listing in which Apply found the rule
}

// Apply rewrites the rule with the options. At every moment a rule exists.
// Without options the rule stays as it is. Rules for parts of the connections are inserted
// before it. What Check or CheckParts refuses is refused before anything is changed.
func (r *Rule) Apply(ctx context.Context, journal *undo.Journal, options snat.Options, parts ...snat.Part) (*AppliedRule, error) {
	options.Plain = false // the rule is plain
	if options.PerMillion != 0 {
		options, parts = snat.Options{}, append(parts, snat.Part{Options: options})
	}
	a := &AppliedRule{rule: r.originalRule(), outlivesRun: r.OutlivesRun, backend: r.backend, control: r.control, journal: journal}
	if options == (snat.Options{}) && len(parts) == 0 {
		var err error
		a.listed, _, err = a.listRules(ctx) // an error if the rule is gone
		if err == nil {
			a.listed, err = a.control.putBefore(ctx, a.listed, a.rule)
		}
		return a, err
	}
	rules, err := r.checkOptions(ctx, options)
	if err == nil {
		err = r.CheckParts(ctx, parts...)
	}
	if err != nil {
		return nil, err
	}
	if options != (snat.Options{}) {
		err = a.rewriteOriginal(ctx, rules, options)
	}
	if err == nil {
		err = a.insertParts(ctx, r.Text, parts)
	}
	if err != nil { // some of it may be done
		return nil, errors.Join(fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err), a.Undo(undo.Context(ctx)))
	}
	if a.listed, err = a.control.putBefore(ctx, a.listed, a.ownRules()[0]); err != nil {
		return nil, errors.Join(err, a.Undo(undo.Context(ctx)))
	}
	return a, nil
}

// rewriteOriginal writes the rule with its mark. A kernel without xt_comment
// refuses a marked rule, so a refused rule is written once more without the mark.
// Rules is the listing in which the original was found.
func (a *AppliedRule) rewriteOriginal(ctx context.Context, rules []rule, options snat.Options) error {
	original := a.rule
	a.rule = rule{text: a.backend.rewriteText(original.text, options), mark: a.backend.newMark(a.journal)}
	err := a.replaceOriginal(ctx, rules, original, options)
	if _, refused := errors.AsType[*iptables.RefusedError](err); !refused || a.rule.mark == "" {
		return err
	}
	if undoErr := a.Undo(undo.Context(ctx)); undoErr != nil {
		return errors.Join(err, undoErr)
	}
	a.rule.mark = ""
	if rules, err = a.backend.readRules(ctx); err != nil {
		return err
	}
	return a.replaceOriginal(ctx, rules, original, options)
}

// replaceOriginal puts the rule in place of the original, as a step of the journal.
func (a *AppliedRule) replaceOriginal(ctx context.Context, rules []rule, original rule, options snat.Options) error {
	entry, err := a.journal.Do(ctx, a.backend.newRewriteStep(original, a.rule, a.outlivesRun), func(ctx context.Context) error {
		err := a.backend.replaceRule(ctx, rules, original, a.rule, options)
		if err == nil {
			a.listed, err = checkReplaced(ctx, a.backend, original, a.rule)
		}
		return err
	})
	a.entries = append(a.entries, entry)
	return err
}

// mostTexts bounds the rules whose texts Text returns.
const mostTexts = 4

// Text returns the text of the applied rule. If others for parts of the connections stand
// before it, it returns them as well, or the first one and the number of the others.
func (a *AppliedRule) Text() string {
	texts := ruleTexts(a.parts)
	if len(texts) >= mostTexts {
		texts = []string{fmt.Sprintf("%s, %d more rules like it", texts[0], len(texts)-1)}
	}
	return strings.Join(append(texts, a.rule.text), ", then ")
}

// Packets returns how many packets the rule matched since it was written: the
// first packet of each connection. If others for parts of the connections stand
// before it, theirs are added, and a rule that was not rewritten has counted from its own
// writing on. It returns an error if a rule is gone because another program rewrote the rules.
func (a *AppliedRule) Packets(ctx context.Context) (uint64, error) {
	_, each, err := a.listRules(ctx)
	return sumPackets(each), err
}

// BothPackets returns in one reading what Packets of this rule and of the control's
// returns, and 0 for a control that does not exist.
func (a *AppliedRule) BothPackets(ctx context.Context) (own, control uint64, err error) {
	all, each, err := a.listRules(ctx)
	if err == nil && a.control != nil {
		control, err = a.control.findPackets(all)
	}
	return sumPackets(each), control, err
}

func sumPackets(each []uint64) (sum uint64) {
	for _, n := range each {
		sum += n
	}
	return sum
}

// PartPackets returns in one reading what each of the rules matched that Packets adds up, in
// the order in which connections reach them; nil where there is one rule.
func (a *AppliedRule) PartPackets(ctx context.Context) (each []uint64, err error) {
	if len(a.parts) > 0 {
		_, each, err = a.listRules(ctx)
	}
	return each, err
}

// listRules lists all rules, and returns the packets of each of the arm's, in the order in
// which connections reach them. It returns an error if one of them is gone.
func (a *AppliedRule) listRules(ctx context.Context) (all []rule, each []uint64, err error) {
	all, err = a.backend.readRules(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range a.ownRules() {
		at := positionOf(all, r)
		if at == 0 {
			return nil, nil, goneError("masquerade rule", r, a.backend)
		}
		each = append(each, all[at-1].packets)
	}
	return all, each, nil
}

// Undo removes the rules for parts of the connections, and restores the original rule.
func (a *AppliedRule) Undo(ctx context.Context) error {
	var errs []error
	for _, entry := range slices.Backward(a.entries) {
		errs = append(errs, a.journal.Undo(ctx, entry))
	}
	return errors.Join(errs...)
}

// checkReplaced returns an error unless the written rule exists and the old one
// does not. It returns all rules that it listed.
func checkReplaced(ctx context.Context, b backend, old, written rule) ([]rule, error) {
	after, err := b.readRules(ctx)
	if err != nil {
		return nil, err
	}
	if positionOf(after, written) == 0 || positionOf(after, old) != 0 {
		return nil, fmt.Errorf("%s accepted the rule, but %s now holds %q", b.programName(), b.placeName(), ruleTexts(after))
	}
	return after, nil
}

// restoreRule undoes a rewriting. If the original exists already, as after a
// restart of Docker, the rewritten rule is deleted; so is the rule of a network
// that is gone. If neither rule exists, there is nothing to restore.
//
// Every rule with the run's mark is ours, copies included. Without a mark only
// one rule of that text can be ours.
func restoreRule(ctx context.Context, b backend, original, rewritten rule, networkGone bool) error {
	rules, err := b.readRules(ctx)
	if err != nil {
		return err
	}
	n := countRule(rules, rewritten)
	if n > 1 && rewritten.mark == "" {
		return ambiguousRuleError(b.placeName(), rules, rewritten)
	}
	restored := n > 0 && positionOf(rules, original) == 0 && !networkGone
	if restored {
		if err := b.replaceRule(ctx, rules, rewritten, original, snat.Options{}); err != nil {
			return err
		}
		n--
	}
	for range n {
		if err := b.deleteRule(ctx, rewritten); err != nil {
			return err
		}
	}
	if restored {
		_, err = checkReplaced(ctx, b, rewritten, original)
	}
	return err
}
