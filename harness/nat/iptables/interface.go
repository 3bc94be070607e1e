package iptables

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// ListRulesOf returns the texts of the rules, in every chain of a table, that match an
// interface by its name. Nothing is created. A rule that is there twice is listed twice.
func (p *Program) ListRulesOf(ctx context.Context, table, name string) (texts []string, err error) {
	if p.LacksTable(table) {
		return nil, nil
	}
	chains, err := p.ipt.ListChains(table)
	if err != nil {
		return nil, fmt.Errorf("list the chains of table %s with %s: %w", table, p.Path, trimmedError{err})
	}
	for _, chain := range chains {
		rules, err := p.ListRules(ctx, table, chain)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if words, err := SplitRule(r.Text); err == nil && matchesInterface(words, name) {
				texts = append(texts, r.Text)
			}
		}
	}
	return texts, nil
}

// matchesInterface reports whether the words of a rule have `-i NAME` or `-o NAME`, with or
// without "!".
func matchesInterface(words []string, name string) bool {
	at := slices.Index(words, name)
	return at > 0 && (words[at-1] == "-i" || words[at-1] == "-o") && !strings.HasSuffix(name, "+")
}
