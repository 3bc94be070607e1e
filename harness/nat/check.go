package nat

import (
	"context"
	"fmt"

	"snatlab/harness/nat/snat"
)

// Check returns an error if the rule cannot be rewritten with one of these
// options, and changes nothing. The chain may hold a rule of another program
// with the text that ours has before or after the rewriting. The two rules
// could not be distinguished then, so the run is refused.
func (r *Rule) Check(ctx context.Context, all ...snat.Options) error {
	_, err := r.checkOptions(ctx, all...)
	return err
}

// checkOptions returns the rules in which it looked: none if the rule need not be
// rewritten.
func (r *Rule) checkOptions(ctx context.Context, all ...snat.Options) (rules []rule, err error) {
	for _, o := range all {
		if o.Plain = false; o == (snat.Options{}) { // the rule is plain
			continue
		}
		if err = r.checkForm(o); err == nil && rules == nil {
			rules, err = r.backend.readRules(ctx)
		}
		if err == nil {
			err = checkUniqueRule(r.backend, rules, r.originalRule(), r.backend.rewriteText(r.Text, o))
		}
		if err != nil {
			return nil, fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err)
		}
	}
	return rules, nil
}

// checkForm returns an error if no rule can have these options, or if it could not be
// undone.
func (r *Rule) checkForm(o snat.Options) error {
	if err := o.CheckFor(sourceOf(r.Text)); err != nil {
		return err
	}
	if o.PerMillion != 0 {
		_, err := r.checkPart(snat.Part{Options: o})
		return err
	}
	if _, ok := r.backend.(iptablesBackend); ok { // nothing is written that would not be undone
		if _, _, _, err := (rewriteStep{Original: r.Text, Rewritten: r.backend.rewriteText(r.Text, o)}).parseRules(); err != nil {
			return err
		}
	}
	return nil
}

// CheckParts returns an error, as Check does, if no rules for these parts of the
// connections can stand before the rule.
func (r *Rule) CheckParts(ctx context.Context, parts ...snat.Part) error {
	if len(parts) == 0 {
		return nil
	}
	rules, err := r.backend.readRules(ctx)
	for _, p := range parts {
		text := ""
		if err == nil {
			text, err = r.checkPart(p)
		}
		if err == nil {
			err = checkUniqueRule(r.backend, rules, r.originalRule(), text)
		}
	}
	if err != nil {
		return fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err)
	}
	return nil
}

// checkPart returns the text of a rule for a part of the connections, or an error if there
// is none, or if it could not be undone.
func (r *Rule) checkPart(p snat.Part) (text string, err error) {
	if err = p.Check(sourceOf(r.Text)); err == nil {
		text, err = r.backend.partText(r.Text, p)
	}
	return text, err
}

// checkUniqueRule returns an error unless one rule has the original text and
// none has the new text. Marks make no difference: a rule that another run left
// is refused as well.
func checkUniqueRule(b backend, rules []rule, original rule, text string) error {
	at := positionOf(rules, original)
	if at == 0 {
		return noRuleError(b, original.text)
	}
	for i, r := range rules {
		switch {
		case r.text == original.text && i+1 != at:
			return fmt.Errorf("%s holds this text more than once: rule %d is %v, rule %d is %v; it is unknown which one is the network's, so nothing was changed (remove one of them)",
				b.placeName(), at, rules[at-1], i+1, r)
		case r.text == text:
			return fmt.Errorf("%s holds the new text already: rule %d is %v, rule %d, which would get the same text, is %v; nothing was changed (remove rule %d, or leave out the arm that asks for this text)",
				b.placeName(), i+1, r, at, rules[at-1], i+1)
		}
	}
	return nil
}
