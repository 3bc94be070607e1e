// Package nftables writes and reads rules of nftables over netlink. No nft
// program is needed.
//
// Snatlab writes only to tables of its own. One table holds the masquerade rule,
// another one the idle rules of [WidenWindow]. Everything happens in the network
// namespace of the calling thread.
package nftables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"

	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// TableName and ChainName are those of the masquerade rule.
const (
	TableName = "snatlab"
	ChainName = "postrouting"
)

// Place is the table of the masquerade rule as an argument of the nft program.
const Place = "table ip " + TableName

var (
	masqueradeTable = &nftables.Table{Name: TableName, Family: nftables.TableFamilyIPv4}
	masqueradeChain = &nftables.Chain{
		Name: ChainName, Table: masqueradeTable, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: new(nftables.ChainPolicyAccept),
	}
)

// tableStep is the journalled step that makes the masquerade table.
type tableStep struct{}

const tableKind = "nat.nftables"

// MakeMasquerade makes the masquerade table with the rule that masquerades
// packets which leave the subnet by another interface than its bridge, and
// returns the rule's text. An existing table of that name belongs to another
// program and is an error. Where the kernel lacks a part of nftables, the error
// is a [transaction.MissingError].
func MakeMasquerade(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, bridge string) (text string, err error) {
	r := MasqueradeRule{Subnet: subnet.Masked(), Bridge: bridge}
	if err := r.checkRule(); err != nil {
		return "", err
	}
	// Checked before the step is journalled: undoing it would delete the table
	// of another program.
	if err := transaction.CheckNoTable(ctx, func(name string) bool { return name == TableName }); err != nil {
		return "", err
	}
	step := undo.NewStep(tableKind, "nftables "+Place, "nft delete "+Place, tableStep{})
	_, err = journal.Do(ctx, step, func(ctx context.Context) error { return writeTable(ctx, r) })
	if err != nil {
		return "", err
	}
	rules, err := ListRules(ctx)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(rules, func(l ListedRule) bool { return l.Text == r.Text() }) {
		return "", fmt.Errorf("the kernel accepted %q, but %s now holds %q", r.Text(), Place, listedTexts(rules))
	}
	return r.Text(), nil
}

func listedTexts(rules []ListedRule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.Text)
	}
	return all
}

// writeTable makes the table, the chain and the rule. Until the last transaction
// nothing is translated.
func writeTable(ctx context.Context, r MasqueradeRule) error {
	err := transaction.Apply(ctx, []transaction.Step{
		{Needs: transaction.Tables, Queue: func(c *nftables.Conn) { c.CreateTable(masqueradeTable) }},
		{Needs: transaction.NATChains, Queue: func(c *nftables.Conn) { c.AddChain(masqueradeChain) }},
		{Needs: transaction.Counter, Queue: func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: masqueradeTable, Chain: masqueradeChain, Exprs: []expr.Any{&expr.Counter{}}})
			c.FlushChain(masqueradeChain)
		}},
	})
	if err != nil {
		return err
	}
	return transaction.Masquerade.Explain(sendRule(ctx, netlink.Create|netlink.Append, 0, r.buildExpressions()))
}

// ReplaceRule writes a rule with these options in the place of the rule with
// the old text, in one transaction. It writes nothing unless the new rule has
// the text written. The kernel never uses a handle again: if the old rule is
// deleted between listing and replacing, nothing is replaced.
func ReplaceRule(ctx context.Context, old, written string, o snat.Options) error {
	found, err := findListed(ctx, old)
	if err != nil {
		return err
	}
	r := found.rule
	if r.Options = o; r.Text() != written {
		return fmt.Errorf("no options turn %q into %q", old, written)
	}
	err = sendRule(ctx, netlink.Replace, found.handle, r.buildExpressions())
	if o.ToSource != (snat.AddressRange{}) {
		return transaction.NAT.Explain(err)
	}
	return err
}

// DeleteRule deletes the rule with this text.
func DeleteRule(ctx context.Context, text string) error {
	found, err := findListed(ctx, text)
	if err != nil {
		return err
	}
	return transaction.Send(ctx, func(c *nftables.Conn) {
		_ = c.DelRule(&nftables.Rule{Table: masqueradeTable, Chain: masqueradeChain, Handle: found.handle}) // refuses handle 0 only
	})
}

// RestoreCommand returns the command that puts a rule of this text in place of
// all others in the chain. To delete a single rule takes its handle, which
// changes with every rewriting.
func RestoreCommand(text string) string {
	return fmt.Sprintf("nft 'flush chain ip %[1]s %[2]s; add rule ip %[1]s %[2]s %[3]s'", TableName, ChainName, text)
}

// Undoers returns the undoers of the steps that this package journals.
func Undoers() undo.Undoers {
	return undo.Undoers{
		serverRuleKind: undo.NewUndoer(func(ctx context.Context, s serverRuleStep) error { return s.deleteRule(ctx) }),
		drawingKind:    undo.NewUndoer(func(ctx context.Context, s drawingStep) error { return s.deleteRule(ctx) }),
		tableKind:      undo.NewUndoer(func(ctx context.Context, _ tableStep) error { return transaction.DeleteTable(ctx, masqueradeTable) }),
		widenKind:      undo.NewUndoer(func(ctx context.Context, s widenStep) error { return s.deleteTable(ctx) }),
	}
}
