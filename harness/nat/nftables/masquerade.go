// Package nftables writes and reads rules of nftables over netlink. No nft
// program is needed.
//
// Snatlab writes only to tables of its own. Everything happens in the network namespace of
// the calling thread.
package nftables

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// TableName and ChainName are those of the masquerade rule.
const (
	TableName = "snatlab"
	ChainName = "postrouting"
)

// TableFor returns the table of the masquerade rule of a network; for the zero value, that
// of an IPv4 network.
func TableFor(subnet netip.Prefix) Table {
	return Table{Family: byte(transaction.FamilyOf(subnet.Addr())), Name: TableName}
}

// tableOf returns the table in which a rule with this text stands.
func tableOf(text string) Table {
	if strings.HasPrefix(text, "ip6 ") {
		return Table{Family: unix.NFPROTO_IPV6, Name: TableName}
	}
	return Table{Family: unix.NFPROTO_IPV4, Name: TableName}
}

// masqueradeChain returns the chain of the masquerade rule, in its table.
func masqueradeChain(t Table) *nftables.Chain {
	return &nftables.Chain{
		Name: ChainName, Table: t.known(), Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: new(nftables.ChainPolicyAccept),
	}
}

// tableStep is the journalled step that makes the masquerade table.
type tableStep struct {
	Family transaction.StepFamily `json:"family,omitempty"`
}

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
	t := r.table()
	if err := transaction.CheckNoTable(ctx, t.known()); err != nil {
		return "", err
	}
	step := undo.NewStep(tableKind, "nftables "+t.String(), "nft delete "+t.String(), tableStep{transaction.NewStepFamily(t.known())})
	_, err = journal.Do(ctx, step, func(ctx context.Context) error { return writeTable(ctx, r) })
	if err != nil {
		return "", err
	}
	rules, err := ListRules(ctx, r.Subnet)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(rules, func(l ListedRule) bool { return l.Text == r.Text() }) {
		return "", fmt.Errorf("the kernel accepted %q, but %v now holds %q", r.Text(), t, listedTexts(rules))
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
	chain := masqueradeChain(r.table())
	table := chain.Table
	err := transaction.Apply(ctx, []transaction.Step{
		{Needs: transaction.Tables.In(table.Family), Queue: func(c *nftables.Conn) { c.CreateTable(table) }},
		{Needs: transaction.NATChains.In(table.Family), Queue: func(c *nftables.Conn) { c.AddChain(chain) }},
		{Needs: transaction.Counter, Queue: func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Counter{}}})
			c.FlushChain(chain)
		}},
	})
	if err != nil {
		return err
	}
	return transaction.Masquerade.Explain(sendRule(ctx, netlink.Create|netlink.Append, 0, r))
}

// ReplaceRule writes a rule with these options in the place of the rule with
// the old text, in one transaction. It writes nothing unless the new rule has
// the text written, and the options are those of such a rule. The kernel never uses a handle again: if the old rule is
// deleted between listing and replacing, nothing is replaced.
func ReplaceRule(ctx context.Context, old, written string, o snat.Options) error {
	found, err := findListed(ctx, old)
	if err != nil {
		return err
	}
	r := found.rule
	r.Options = o
	if err := r.checkRule(); err != nil {
		return err
	}
	if r.Text() != written {
		return fmt.Errorf("no options turn %q into %q", old, written)
	}
	err = sendRule(ctx, netlink.Replace, found.handle, r)
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
	chain := masqueradeChain(tableOf(text))
	return transaction.Send(ctx, func(c *nftables.Conn) {
		_ = c.DelRule(&nftables.Rule{Table: chain.Table, Chain: chain, Handle: found.handle}) // refuses handle 0 only
	})
}

// RestoreCommand returns the command that puts a rule of this text in place of
// all others in the chain. To delete a single rule takes its handle, which
// changes with every rewriting.
func RestoreCommand(text string) string {
	chain := fmt.Sprintf("%s %s %s", tableOf(text).FamilyName(), TableName, ChainName)
	return fmt.Sprintf("nft 'flush chain %[1]s; add rule %[1]s %[2]s'", chain, text)
}

// deleteTable deletes the table with its rules.
func (s tableStep) deleteTable(ctx context.Context) error {
	family, err := s.Family.Parse()
	if err != nil {
		return err
	}
	return transaction.DeleteTable(ctx, Table{Family: byte(family), Name: TableName}.known())
}

// Undoers returns the undoers of the steps that this package journals.
func Undoers() undo.Undoers {
	return undo.Undoers{
		serverRuleKind: undo.NewUndoer(func(ctx context.Context, s insertedStep) error { return s.deleteRule(ctx, parseControl) }),
		partKind:       undo.NewUndoer(func(ctx context.Context, s insertedStep) error { return s.deleteRule(ctx, parsePart) }),
		tableKind:      undo.NewUndoer(func(ctx context.Context, s tableStep) error { return s.deleteTable(ctx) }),
	}
}
