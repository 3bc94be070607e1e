package nat

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"

	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// nft is nftables, spoken to over netlink: no nft program is needed.
//
// Its rule stands in a table of our own, and nothing else is ever written to.
type nft struct{}

var (
	nftTable = &nftables.Table{Name: "snatlab", Family: nftables.TableFamilyIPv4}
	nftChain = &nftables.Chain{
		Name: "postrouting", Table: nftTable, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource, Policy: new(nftables.ChainPolicyAccept),
	}
)

// ownTable is the journalled step: our table.
type ownTable struct{}

// KindNFTables is the kind of the step that our table is.
const KindNFTables = "nat.nftables"

// NFTables makes, in a table of its own, the nftables rule that masquerades
// what leaves the subnet by another interface than its bridge. A table of that
// name that is there already has an owner: that is an error. Where the kernel
// lacks a part of nftables, the error is a [MissingError].
func NFTables(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, bridge string) (*Rule, error) {
	r, err := nft{}.masquerade(ctx, journal, nftRule{subnet: subnet.Masked(), bridge: bridge})
	if err != nil {
		return nil, fmt.Errorf("make masquerade rule of %v with nftables: %w", subnet, err)
	}
	return r, nil
}

func (n nft) masquerade(ctx context.Context, journal *undo.Journal, r nftRule) (*Rule, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	// Found out before there is anything to undo, which would be the table of
	// somebody else.
	if err := n.vacant(ctx, func(name string) bool { return name == nftTable.Name }); err != nil {
		return nil, err
	}
	step := undo.NewStep(KindNFTables, "nftables "+n.place(), "nft delete "+n.place(), ownTable{})
	_, err := journal.Do(ctx, step, func(ctx context.Context) error { return n.write(ctx, r) })
	if err != nil {
		return nil, err
	}
	rules, err := n.read(ctx)
	if err != nil {
		return nil, err
	}
	if position(rules, rule{text: r.text()}) == 0 {
		return nil, fmt.Errorf("the kernel took %q, but %s now reads %q", r.text(), n.place(), texts(rules))
	}
	return &Rule{Text: r.text(), backend: n}, nil
}

// write makes the table, the chain and the rule. Until the last step nothing is
// translated.
func (n nft) write(ctx context.Context, r nftRule) error {
	err := n.build(ctx, []nftStep{
		{partTables, func(c *nftables.Conn) { c.CreateTable(nftTable) }},
		{partChain, func(c *nftables.Conn) { c.AddChain(nftChain) }},
		{partCounter, func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: nftTable, Chain: nftChain, Exprs: []expr.Any{&expr.Counter{}}})
			c.FlushChain(nftChain)
		}},
	})
	if err != nil {
		return err
	}
	return partMasq.missing(n.put(ctx, netlink.Create|netlink.Append, 0, r.exprs()))
}

func (ownTable) remove(ctx context.Context) error { return nft{}.drop(ctx, nftTable) }

func (nft) program() string { return "nftables" }

func (nft) place() string { return called(nftTable) }

// rewritten puts another statement at the end of the text of the rule.
func (nft) rewritten(original string, o snat.Options) string {
	return strings.TrimSuffix(original, nftStatement(snat.Options{})) + nftStatement(o)
}

func (n nft) read(ctx context.Context) ([]rule, error) {
	listed, err := n.list(ctx)
	var rules []rule
	for _, l := range listed {
		rules = append(rules, l.rule)
	}
	return rules, err
}

// replace is one transaction. The kernel gives a handle only once: should the
// old rule go after it was found, nothing is replaced.
func (n nft) replace(ctx context.Context, old, written rule, o snat.Options) error {
	found, err := n.find(ctx, old.text)
	if err != nil {
		return err
	}
	r := found.shape
	if r.options = o; r.text() != written.text {
		return fmt.Errorf("no options make %q out of %q", written.text, old.text)
	}
	err = n.put(ctx, netlink.Replace, found.handle, r.exprs())
	if o.ToSource != (snat.Addresses{}) {
		return partNAT.missing(err)
	}
	return err
}

func (n nft) remove(ctx context.Context, r rule) error {
	found, err := n.find(ctx, r.text)
	if err != nil {
		return err
	}
	return n.commit(ctx, func(c *nftables.Conn) {
		_ = c.DelRule(&nftables.Rule{Table: nftTable, Chain: nftChain, Handle: found.handle}) // refuses handle 0 only
	})
}

// nftRewrite is the journalled step: one rule stands in place of another.
type nftRewrite struct {
	Original  string `json:"original"` // text
	Rewritten string `json:"rewritten"`
}

// KindNFTablesRewrite is the kind of the step that a rewritten rule is.
const KindNFTablesRewrite = "nat.nftables-rewrite"

// rewriting says to empty the chain by hand: to delete the one rule takes its
// handle, which is another each time. The chain is ours, and its table goes
// with a step of its own: no rule lasts.
func (nft) rewriting(original, rewritten rule, _ bool) undo.Step {
	manual := fmt.Sprintf("nft 'flush chain ip %[1]s %[2]s; add rule ip %[1]s %[2]s %[3]s'", nftTable.Name, nftChain.Name, original.text)
	return undo.NewStep(KindNFTablesRewrite, "masquerade rule "+rewritten.text, manual,
		nftRewrite{Original: original.text, Rewritten: rewritten.text})
}

// mark: the table is ours, so what stands in it needs none.
func (nft) mark(*undo.Journal) string { return "" }

func (s nftRewrite) restore(ctx context.Context) error {
	original, err := parseNFTText(s.Original)
	if err != nil {
		return err
	}
	if err := checkRewritten(nft{}, s.Original, s.Rewritten, nftOptions(strings.TrimPrefix(s.Rewritten, original.match()))); err != nil {
		return err
	}
	return restore(ctx, nft{}, rule{text: s.Original}, rule{text: s.Rewritten}, false) // the table goes after its rule
}
