package nftables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"

	"snatlab/harness/undo"
)

// serverRuleStep is the journalled step that inserts the rule of the control.
type serverRuleStep struct {
	Rule string `json:"rule"` // text
}

const serverRuleKind = "nat.nftables-control"

// ControlOf returns the rule for the packets of a rule's network to one server.
func ControlOf(text string, server netip.AddrPort) (MasqueradeRule, error) {
	r, ok := ParseRule(text)
	if !ok || r.Server != (netip.AddrPort{}) {
		return r, fmt.Errorf("%q is not the masquerade rule of a network", text)
	}
	r.Server = server
	return r, r.checkRule()
}

// InsertControl inserts a rule directly before the rule with the text network. An
// existing rule with the same text is an error.
func InsertControl(ctx context.Context, journal *undo.Journal, network string, r MasqueradeRule) error {
	rules, err := ListRules(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(listedTexts(rules), r.Text()) {
		return fmt.Errorf("%q is in %s already", r.Text(), Place)
	}
	step := undo.NewStep(serverRuleKind, "masquerade rule "+r.Text(), RestoreCommand(network), serverRuleStep{Rule: r.Text()})
	_, err = journal.Do(ctx, step, func(ctx context.Context) error {
		before, err := findListed(ctx, network)
		if err != nil {
			return err
		}
		return sendRule(ctx, netlink.Create, before.handle, r.buildExpressions())
	})
	return err
}

// deleteRule deletes the rule of the step. It may never have been inserted.
func (s serverRuleStep) deleteRule(ctx context.Context) error {
	if r, ok := ParseRule(s.Rule); !ok || r.Server == (netip.AddrPort{}) {
		return fmt.Errorf("%q is not a rule of snatlab's; its step is not undone", s.Rule)
	}
	rules, err := ListRules(ctx)
	if err != nil || !slices.Contains(listedTexts(rules), s.Rule) {
		return err
	}
	return DeleteRule(ctx, s.Rule)
}
