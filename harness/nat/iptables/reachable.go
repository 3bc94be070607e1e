package iptables

import (
	"context"
	"fmt"
	"slices"
)

// ChainRule is a rule and the chain that it stands in.
type ChainRule struct {
	RuleLine
	Chain  string
	Target string // empty: the rule only counts
}

// ListReachable returns the rules of a chain, and those of the chains that it jumps to.
// The program runs once for each chain, for limit chains at most. Unread names chains that
// are not listed, with the reason.
func (p *Program) ListReachable(ctx context.Context, table, chain string, limit int) (rules []ChainRule, unread []string, err error) {
	chains := []string{chain}
	for at := 0; at < len(chains); at++ {
		if at == limit {
			return rules, append(unread, fmt.Sprintf("%s: chains of table %s beyond the first %d", p.Name(), table, limit)), nil
		}
		listed, err := p.ListRules(ctx, table, chains[at])
		switch {
		case err != nil && at == 0:
			return nil, nil, err
		case err != nil:
			unread = append(unread, err.Error())
			continue
		}
		for _, r := range listed {
			target := targetOf(r.Text)
			rules = append(rules, ChainRule{r, chains[at], target})
			if target != "" && !builtinTargets[target] && !slices.Contains(chains, target) {
				chains = append(chains, target)
			}
		}
	}
	return rules, unread, nil
}

// targetOf returns the target of a rule, or an empty text.
func targetOf(text string) string {
	words, err := SplitRule(text)
	at := slices.IndexFunc(words, func(w string) bool { return w == "-j" || w == "-g" })
	if err != nil || at < 0 || at+1 == len(words) {
		return ""
	}
	return words[at+1]
}

// builtinTargets are the targets that are no chains, in the table nat.
var builtinTargets = map[string]bool{
	"ACCEPT": true, "AUDIT": true, "CONNMARK": true, "CT": true, "DNAT": true, "DROP": true, "LOG": true, "MARK": true,
	"MASQUERADE": true, "NETMAP": true, "NFLOG": true, "NFQUEUE": true, "REDIRECT": true, "RETURN": true, "SET": true,
	"SNAT": true, "TRACE": true, "QUEUE": true, "ULOG": true,
}
