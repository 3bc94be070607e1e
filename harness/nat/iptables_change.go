package nat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"snatlab/harness/undo"
)

// change inserts, appends or deletes one rule. At is the position for "-I".
func (t *Tables) change(table, how string, at int, r rule) error {
	spec, err := specOf(r.line())
	if err != nil {
		return err
	}
	chain := strings.Fields(r.text)[1]
	switch how {
	case "-I":
		err = t.ipt.Insert(table, chain, at, spec...)
	case "-A":
		err = t.ipt.Append(table, chain, spec...)
	default:
		return t.ipt.Delete(table, chain, spec...)
	}
	if err != nil {
		return &refusedError{t.refused(r.text, err)}
	}
	return nil
}

// refused says what it means that an old program does not take a rule.
func (t *Tables) refused(text string, err error) error {
	if !strings.Contains(err.Error(), "unknown option") {
		return err
	}
	return fmt.Errorf("%s is too old for %q (--random-fully needs 1.6.2): %w", t.program(), text, err)
}

// deleting is the command that deletes a rule by hand.
func (t *Tables) deleting(table string, r rule) string {
	return fmt.Sprintf("%s -t %s -D%s", t.Path, table, strings.TrimPrefix(r.line(), "-A"))
}

// writeOurs writes a rule of our own with its mark, and returns it as it was
// written. A kernel without xt_comment refuses a marked rule, so a rule that is
// refused is written once more without the mark. That is done only if nobody
// has an equal rule, which undoing could not tell from ours.
func (t *Tables) writeOurs(ctx context.Context, journal *undo.Journal, table, text string, prepare func(rule) (undo.Step, func() error)) (rule, error) {
	r := rule{text: text, mark: markOf(journal)}
	if r.mark != "" {
		step, write := prepare(r)
		entry, err := journal.Do(ctx, step, func(context.Context) error { return write() })
		if _, refused := errors.AsType[*refusedError](err); !refused {
			return r, err
		}
		if undoErr := journal.Undo(undo.Context(ctx), entry); undoErr != nil {
			return r, errors.Join(err, undoErr)
		}
		r.mark = ""
	}
	chain := strings.Fields(text)[1]
	rules, err := t.list(ctx, table, chain)
	if err == nil {
		err = checkNone(chain, rules, text)
	}
	if err != nil {
		return r, err
	}
	step, write := prepare(r)
	_, err = journal.Do(ctx, step, func(context.Context) error { return write() })
	return r, err
}

// checkNone checks that a chain holds no rule of this text, whatever its mark.
func checkNone(chain string, rules []rule, text string) error {
	for i, r := range rules {
		if r.text == text {
			return fmt.Errorf("rule %d of %s is %v: it is there already, so it is not snatlab's to make (remove it)", i+1, chain, r)
		}
	}
	return nil
}

// removeOurs undoes the writing of a rule of our own, which may never have been
// written.
func removeOurs(ctx context.Context, path, table, chain string, r rule) error {
	t, err := openJournalled(path)
	if err != nil {
		return err
	}
	if there, err := t.hasChain(table, chain); err != nil || !there {
		return err
	}
	rules, err := t.list(ctx, table, chain)
	if err != nil {
		return err
	}
	n := count(rules, r)
	if n > 1 && r.mark == "" {
		return ambiguous(chain, rules, r)
	}
	for range n {
		if err := t.change(table, "-D", 0, r); err != nil {
			return err
		}
	}
	return nil
}

// lacks reports that a table is not there. To list it with iptables-legacy
// would create it.
func (t *Tables) lacks(table string) bool { return t.Variant == "legacy" && !legacyTableExists(table) }

// openJournalled opens the program that a step of the journal names. A journal
// holds the names that we look for ourselves, and no path.
func openJournalled(name string) (*Tables, error) {
	if !slices.Contains(candidates, name) {
		return nil, fmt.Errorf("%s is not the name of an iptables program (%s)", strconv.Quote(name), strings.Join(candidates, ", "))
	}
	return open(name)
}
