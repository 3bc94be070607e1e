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

// insertedStep is the journalled step that inserts a rule before that of a network.
type insertedStep struct {
	Rule string `json:"rule"` // text
}

const (
	serverRuleKind = "nat.nftables-control"
	partKind       = "nat.nftables-drawing" // the first of these rules drew connections
)

// parseNetworkRule parses the rule of a network as it was made.
func parseNetworkRule(text string) (MasqueradeRule, error) {
	r, ok := ParseRule(text)
	if !ok || r.Server.IsValid() {
		return r, fmt.Errorf("%q is not the masquerade rule of a network", text)
	}
	return r, nil
}

// ControlOf returns the rule for some connections of a rule's network.
func ControlOf(text string, of snat.Connections) (MasqueradeRule, error) {
	r, err := parseNetworkRule(text)
	if err != nil {
		return r, err
	}
	if !of.Server.IsValid() {
		return r, errors.New("no server of a control")
	}
	r.Server, r.UDP, r.Ports = of.Server, of.UDP, of.Ports
	return r, r.checkRule()
}

// PartOf returns the rule for a part of the connections of a rule's network.
func PartOf(text string, p snat.Part) (MasqueradeRule, error) {
	r, err := parseNetworkRule(text)
	if err == nil {
		err = p.Check(r.Subnet)
	}
	if err != nil {
		return r, err
	}
	if r.Options = p.Options; p.Source.IsValid() {
		r.Subnet = p.Source
	}
	return r, r.checkRule()
}

// InsertControl inserts the rule of a control directly before the rule with the text
// network. An existing rule with the same text is an error.
func InsertControl(ctx context.Context, journal *undo.Journal, network string, r MasqueradeRule) error {
	step := undo.NewStep(serverRuleKind, "masquerade rule "+r.Text(), RestoreCommand(network), insertedStep{Rule: r.Text()})
	_, err := insertBefore(ctx, journal, step, network, r)
	return err
}

// InsertPart inserts a rule of [PartOf] before the rule with the text now, and returns the
// entry of the journal that undoes it; nil if nothing was journalled. Network is the text of
// the network's rule as it was made. Where the kernel lacks a part of nftables, the error is
// a [transaction.MissingError].
func InsertPart(ctx context.Context, journal *undo.Journal, now, network string, r MasqueradeRule) (*undo.Entry, error) {
	step := undo.NewStep(partKind, "masquerade rule "+r.Text(), RestoreCommand(network), insertedStep{Rule: r.Text()})
	return insertBefore(ctx, journal, step, now, r)
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
		switch o := r.Options; {
		case o.PerMillion != 0:
			return transaction.Numgen.Explain(err)
		case o.ToSource != (snat.AddressRange{}):
			return transaction.NAT.Explain(err)
		}
		return err
	})
	return &entry, err
}

// deleteRule deletes the rule of the step, if parse knows it. It may never have been
// inserted.
func (s insertedStep) deleteRule(ctx context.Context, parse func(string) (MasqueradeRule, bool)) error {
	r, ok := parse(s.Rule)
	if !ok {
		return foreignStepError(s.Rule)
	}
	return r.deleteInserted(ctx)
}

// parseControl parses the text of the rule of a control.
func parseControl(text string) (MasqueradeRule, bool) {
	r, ok := ParseRule(text)
	return r, ok && r.Server.IsValid()
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
