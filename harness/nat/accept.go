package nat

import (
	"context"
	"fmt"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/undo"
)

// acceptStep is the journalled step that inserts a rule which lets the lab's
// packets pass. The words of the rule contain the mark.
type acceptStep struct {
	Path  string   `json:"path"`
	Chain string   `json:"chain"`
	Spec  []string `json:"spec"`
}

const acceptKind = "nat.accept"

func acceptText(in, out string) string {
	return fmt.Sprintf("-A %s -i %s -o %s -j ACCEPT", iptables.UserChain, in, out)
}

// InsertAccept inserts a rule on top of [iptables.UserChain] that lets packets
// pass from one interface to another.
func InsertAccept(ctx context.Context, journal *undo.Journal, p *iptables.Program, in, out string) error {
	_, _, err := writeOwned(ctx, p, journal, iptables.FilterTable, acceptText(in, out), func(r rule) (undo.Step, func() error) {
		step := undo.NewStep(acceptKind, "filter rule "+r.text, p.DeleteCommand(iptables.FilterTable, r.markedLine()),
			acceptStep{Path: p.Path, Chain: iptables.UserChain, Spec: r.markedSpec()})
		return step, func() error { return p.InsertRule(iptables.FilterTable, 1, r.markedLine()) }
	})
	if err != nil {
		return fmt.Errorf("insert rule into %s: %w", iptables.UserChain, err)
	}
	return nil
}

func (s acceptStep) deleteRule(ctx context.Context) error {
	if s.Chain != iptables.UserChain {
		return foreignRuleError(strings.Join(append([]string{"-A", s.Chain}, s.Spec...), " "))
	}
	r, err := ruleOf(s.Chain, s.Spec)
	if err != nil {
		return err
	}
	if err := parseAccept(r.text); err != nil {
		return err
	}
	return removeOwned(ctx, s.Path, iptables.FilterTable, s.Chain, r)
}
