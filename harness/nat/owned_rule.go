package nat

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/undo"
)

// prepareOwned returns the step that journals a rule of snatlab's own, and the
// function that writes it.
type prepareOwned func(rule) (step undo.Step, write func() error)

// writeOwned writes a rule of snatlab's own with its mark, and returns it as
// written. A kernel without xt_comment refuses a marked rule, so a refused rule
// is written once more without the mark. That happens only if the chain holds no
// equal rule, because undoing could not distinguish the two. The entry undoes the
// writing; it is nil if nothing was journalled.
func writeOwned(ctx context.Context, p *iptables.Program, journal *undo.Journal, table, text string, prepare prepareOwned) (rule, *undo.Entry, error) {
	r := rule{text: text, mark: markOf(journal)}
	if r.mark != "" {
		step, write := prepare(r)
		entry, err := journal.Do(ctx, step, func(context.Context) error { return write() })
		if _, refused := errors.AsType[*iptables.RefusedError](err); !refused {
			return r, &entry, err
		}
		if undoErr := journal.Undo(undo.Context(ctx), entry); undoErr != nil {
			return r, &entry, errors.Join(err, undoErr)
		}
		r.mark = ""
	}
	chain := strings.Fields(text)[1]
	rules, err := listRules(ctx, p, table, chain)
	if err == nil {
		err = checkNoRule(chain, rules, text)
	}
	if err != nil {
		return r, nil, err
	}
	step, write := prepare(r)
	entry, err := journal.Do(ctx, step, func(context.Context) error { return write() })
	return r, &entry, err
}

// checkNoRule returns an error if a chain holds a rule of this text, whatever its
// mark.
func checkNoRule(chain string, rules []rule, text string) error {
	for i, r := range rules {
		if r.text == text {
			return fmt.Errorf("rule %d of %s is %v: it exists already, so this run did not make it (find out who did; snatlab cleanup removes what an earlier run left)", i+1, chain, r)
		}
	}
	return nil
}

// removeOwned undoes the writing of a rule of snatlab's own. The rule may never
// have been written.
func removeOwned(ctx context.Context, path, table, chain string, r rule) error {
	p, err := openProgram(path, r.text)
	if err != nil {
		return err
	}
	if exists, err := p.HasChain(table, chain); err != nil || !exists {
		return err
	}
	rules, err := listRules(ctx, p, table, chain)
	if err != nil {
		return err
	}
	n := countRule(rules, r)
	if n > 1 && r.mark == "" {
		return ambiguousRuleError(chain, rules, r)
	}
	for range n {
		if err := p.DeleteRule(table, r.markedLine()); err != nil {
			return err
		}
	}
	return nil
}

// listRules returns the rules of a chain in order, marks apart from texts.
func listRules(ctx context.Context, p *iptables.Program, table, chain string) ([]rule, error) {
	listed, err := p.ListRules(ctx, table, chain)
	var rules []rule
	for _, l := range listed {
		text, mark := splitMark(l.Text)
		rules = append(rules, rule{text: text, mark: mark, packets: l.Packets})
	}
	return rules, err
}
