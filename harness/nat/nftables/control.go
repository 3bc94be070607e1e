package nftables

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"

	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// serverRuleStep is the journalled step that inserts the rule of the control.
type serverRuleStep struct {
	Rule string `json:"rule"` // text
}

const serverRuleKind = "nat.nftables-control"

// ControlOf returns the rule for some connections of a rule's network.
func ControlOf(text string, of snat.Connections) (MasqueradeRule, error) {
	r, ok := ParseRule(text)
	if !ok || r.Server.IsValid() {
		return r, fmt.Errorf("%q is not the masquerade rule of a network", text)
	}
	if !of.Server.IsValid() {
		return r, errors.New("no server of a control")
	}
	r.Server, r.UDP, r.Ports = of.Server, of.UDP, of.Ports
	return r, r.checkRule()
}

// DrawingOf returns the rule for a part of the connections of a rule's network.
func DrawingOf(text string, o snat.Options) (MasqueradeRule, error) {
	r, ok := ParseRule(text)
	if !ok || r.Server.IsValid() || o.PerMillion == 0 {
		return r, fmt.Errorf("%q is not the masquerade rule of a network, or %d of a million connections no part of them", text, o.PerMillion)
	}
	r.Options = o
	return r, r.checkRule()
}

// InsertControl inserts the rule of a control directly before the rule with the text
// network. An existing rule with the same text is an error.
func InsertControl(ctx context.Context, journal *undo.Journal, network string, r MasqueradeRule) error {
	step := undo.NewStep(serverRuleKind, "masquerade rule "+r.Text(), RestoreCommand(network), serverRuleStep{Rule: r.Text()})
	_, err := insertBefore(ctx, journal, step, network, r)
	return err
}

// InsertDrawing inserts a rule of [DrawingOf] in the same way, and returns the entry of
// the journal that undoes it; nil if nothing was journalled. Where the kernel lacks the
// expression that draws, the error is a [transaction.MissingError].
func InsertDrawing(ctx context.Context, journal *undo.Journal, network string, r MasqueradeRule) (*undo.Entry, error) {
	step := undo.NewStep(drawingKind, "masquerade rule "+r.Text(), RestoreCommand(network), drawingStep{Rule: r.Text()})
	return insertBefore(ctx, journal, step, network, r)
}

// insertBefore inserts a rule, as a step of the journal.
func insertBefore(ctx context.Context, journal *undo.Journal, step undo.Step, network string, r MasqueradeRule) (*undo.Entry, error) {
	rules, err := ListRules(ctx, r.Subnet)
	if err != nil {
		return nil, err
	}
	if slices.Contains(listedTexts(rules), r.Text()) {
		return nil, fmt.Errorf("%q is in %v already", r.Text(), r.table())
	}
	entry, err := journal.Do(ctx, step, func(ctx context.Context) error {
		before, err := findListed(ctx, network)
		if err != nil {
			return err
		}
		err = sendRule(ctx, netlink.Create, before.handle, r)
		if r.Options.PerMillion != 0 {
			return transaction.Numgen.Explain(err)
		}
		return err
	})
	return &entry, err
}

// deleteRule deletes the rule of the step. It may never have been inserted.
func (s serverRuleStep) deleteRule(ctx context.Context) error {
	r, ok := ParseRule(s.Rule)
	if !ok || !r.Server.IsValid() {
		return foreignStepError(s.Rule)
	}
	return r.deleteInserted(ctx)
}

// drawingStep is the journalled step that inserts a rule for a part of the connections.
type drawingStep struct {
	Rule string `json:"rule"` // text
}

const drawingKind = "nat.nftables-drawing"

// deleteRule deletes the rule of the step. It may never have been inserted.
func (s drawingStep) deleteRule(ctx context.Context) error {
	r, ok := parseDrawing(s.Rule)
	if !ok {
		return foreignStepError(s.Rule)
	}
	return r.deleteInserted(ctx)
}

func foreignStepError(rule string) error {
	return fmt.Errorf("%q is not a rule of snatlab's; its step is not undone", rule)
}

// deleteInserted deletes a rule if it exists.
func (r MasqueradeRule) deleteInserted(ctx context.Context) error {
	rules, err := ListRules(ctx, r.Subnet)
	if err != nil || !slices.Contains(listedTexts(rules), r.Text()) {
		return err
	}
	return DeleteRule(ctx, r.Text())
}
