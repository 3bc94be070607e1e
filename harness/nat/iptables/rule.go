package iptables

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/shlex"
)

// RuleLine is a rule as the program lists it.
type RuleLine struct {
	Text    string // as `iptables -S` prints it
	Packets uint64
}

// ListRules returns the rules of a chain in order. The rule at index i has
// position i + 1.
func (p *Program) ListRules(ctx context.Context, table, chain string) ([]RuleLine, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	lines, err := p.ipt.ListWithCounters(table, chain)
	if err != nil {
		return nil, fmt.Errorf("list %s of table %s with %s: %w", chain, table, p.Path, trimmedError{err})
	}
	var rules []RuleLine
	for _, line := range lines {
		if !strings.HasPrefix(line, "-A ") {
			continue // -P and -N declare the chain
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("read rule %q: %w", line, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// countedLine matches a line of `iptables -v -S`. The counters stand before the
// target, or last if go-iptables has rearranged the line. The same words earlier
// in the line belong to a comment.
var countedLine = regexp.MustCompile(`^(.*) -c (\d+) \d+( -[jg] .*)?$`)

// parseRule parses a line of `iptables -v -S`.
func parseRule(line string) (RuleLine, error) {
	var r RuleLine
	if parts := countedLine.FindStringSubmatch(line); parts != nil {
		var err error
		if r.Packets, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
			return RuleLine{}, fmt.Errorf("packet counter: %w", err)
		}
		line = parts[1] + parts[3]
	}
	if _, err := SplitRule(line); err != nil {
		return RuleLine{}, err
	}
	r.Text = line
	return r, nil
}

// SplitRule returns the words of a rule's text after "-A CHAIN", as iptables
// takes them.
func SplitRule(text string) ([]string, error) {
	words, err := shlex.Split(text)
	if err != nil {
		return nil, err
	}
	if len(words) < 2 || words[0] != "-A" {
		return nil, errors.New("not a rule")
	}
	return words[2:], nil
}

// RefusedError reports that the program did not insert or append a rule.
type RefusedError struct{ error }

func (e *RefusedError) Unwrap() error { return e.error }

// InsertRule inserts the rule with this text at a position of its chain.
func (p *Program) InsertRule(table string, at int, text string) error {
	spec, err := SplitRule(text)
	if err != nil {
		return err
	}
	return p.explainRefusal(text, p.ipt.Insert(table, chainOf(text), at, spec...))
}

// AppendRule appends the rule with this text to its chain.
func (p *Program) AppendRule(table, text string) error {
	spec, err := SplitRule(text)
	if err != nil {
		return err
	}
	return p.explainRefusal(text, p.ipt.Append(table, chainOf(text), spec...))
}

// DeleteRule deletes the first rule with this text from its chain.
func (p *Program) DeleteRule(table, text string) error {
	spec, err := SplitRule(text)
	if err != nil {
		return err
	}
	return p.ipt.Delete(table, chainOf(text), spec...)
}

func chainOf(text string) string { return strings.Fields(text)[1] }

// explainRefusal returns a [RefusedError], with the reason if the program is too
// old for the rule.
func (p *Program) explainRefusal(text string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "unknown option"):
		err = fmt.Errorf("%s is too old for %q (--random-fully needs 1.6.2): %w", p.Name(), text, err)
	}
	return &RefusedError{err}
}

// InsertCommand returns the command that inserts a rule on top of its chain.
func (p *Program) InsertCommand(table, text string) string { return p.ruleCommand(table, "-I", text) }

// DeleteCommand returns the command that deletes a rule.
func (p *Program) DeleteCommand(table, text string) string { return p.ruleCommand(table, "-D", text) }

func (p *Program) ruleCommand(table, how, text string) string {
	return fmt.Sprintf("%s -t %s %s%s", p.Path, table, how, strings.TrimPrefix(text, "-A"))
}
