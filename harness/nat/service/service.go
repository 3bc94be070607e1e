// Package service gives a lab a service address, as a Service of Kubernetes has one: no
// machine has the address, and rules translate it to that of one of several backends, drawn
// for each connection with equal chances, as kube-proxy's rules draw it.
//
// Everything happens in the network namespace of the calling thread.
package service

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/format"
	ours "snatlab/harness/nat/nftables"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// Rules translate the destination of connections. All addresses are of one family.
type Rules struct {
	Clients  netip.Prefix // network that the connections come from
	Address  netip.Addr   // of the service
	Backends []netip.Addr
}

// tableName begins the name of the table. It ends with the end of the run's id, since
// another program could name a table so: the journal deletes that table and no other.
const tableName = "snatlab-service"

// tableNames matches the names of our tables. Journals in memory use the name without an
// end.
var tableNames = regexp.MustCompile(`^` + tableName + `(-[A-Za-z0-9_-]{1,6})?$`)

// insertedStep is the journalled step that makes the table.
type insertedStep struct {
	Table  string                 `json:"table"`
	Family transaction.StepFamily `json:"family,omitempty"`
}

const insertedKind = "nat.service"

// Undoers returns the undoers of the steps that this package journals.
func Undoers() undo.Undoers {
	return undo.Undoers{
		insertedKind: undo.NewUndoer(func(ctx context.Context, s insertedStep) error { return s.deleteTable(ctx) }),
	}
}

// Insert makes the rules in a table of nftables, whatever program holds the rule that
// translates sources. A table of that name is an error. Where the kernel lacks a part of
// nftables, the error is a [transaction.MissingError].
func Insert(ctx context.Context, journal *undo.Journal, r Rules) error {
	if err := r.insert(ctx, journal); err != nil {
		return fmt.Errorf("translate %v to %s: %w", r.Address, format.Plural(len(r.Backends), "backend", "backends"), err)
	}
	return nil
}

func (r Rules) insert(ctx context.Context, journal *undo.Journal) error {
	if err := r.check(); err != nil {
		return err
	}
	t := &nftables.Table{Name: nameTable(journal), Family: transaction.FamilyOf(r.Address)}
	if err := transaction.CheckNoTable(ctx, t); err != nil {
		return err
	}
	if !tableNames.MatchString(t.Name) {
		return fmt.Errorf("%q cannot be the name of a table of snatlab's", t.Name)
	}
	name := transaction.TableName(t)
	step := undo.NewStep(insertedKind, "nftables "+name, "nft delete "+name, insertedStep{Table: t.Name, Family: transaction.NewStepFamily(t)})
	_, err := journal.Do(ctx, step, func(ctx context.Context) error { return r.write(ctx, t) })
	return err
}

func (r Rules) check() error {
	for _, a := range append([]netip.Addr{r.Address, r.Clients.Addr()}, r.Backends...) {
		if !a.IsValid() || a.Is4In6() || a.Is4() != r.Address.Is4() {
			return fmt.Errorf("%v is not an address of the family of %v", a, r.Address)
		}
	}
	if len(r.Backends) == 0 {
		return fmt.Errorf("there is no backend")
	}
	return nil
}

// nameTable returns the name of the table of a run.
func nameTable(journal *undo.Journal) string {
	run := journal.RunID()
	if run == "" {
		return tableName
	}
	return tableName + "-" + run[max(0, len(run)-6):] // the end is its random part
}

// write makes the table, and a rule for each backend.
func (r Rules) write(ctx context.Context, t *nftables.Table) error {
	chain := &nftables.Chain{
		Name: "prerouting", Table: t, Type: nftables.ChainTypeNAT, Policy: new(nftables.ChainPolicyAccept),
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	}
	steps := []transaction.Step{
		{Needs: transaction.Tables.In(t.Family), Queue: func(c *nftables.Conn) { c.CreateTable(t) }},
		{Needs: transaction.NATChains.In(t.Family), Queue: func(c *nftables.Conn) { c.AddChain(chain) }},
	}
	for i, backend := range r.Backends {
		needs := transaction.Numgen
		left := uint32(len(r.Backends) - i)
		if left == 1 {
			needs = transaction.NAT
		}
		steps = append(steps, transaction.Step{Needs: needs, Queue: func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: r.expressions(backend, left)})
		}})
	}
	return transaction.Apply(ctx, steps)
}

const register = unix.NFT_REG_1

// expressions returns `ip saddr CLIENTS ip daddr ADDRESS numgen random mod LEFT 0 counter
// dnat to BACKEND`, or the same with ip6. With one backend left nothing is drawn: each of n
// backends gets one connection in n.
func (r Rules) expressions(backend netip.Addr, left uint32) []expr.Any {
	exprs := append(ours.MatchSource(r.Clients), ours.MatchDestination(netip.PrefixFrom(r.Address, r.Address.BitLen()))...)
	if left > 1 {
		exprs = append(exprs,
			&expr.Numgen{Register: register, Modulus: left, Type: unix.NFT_NG_RANDOM},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: make([]byte, 4)})
	}
	return append(exprs,
		&expr.Counter{},
		&expr.Immediate{Register: register, Data: backend.AsSlice()},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(transaction.FamilyOf(backend)), RegAddrMin: register})
}

// deleteTable deletes the table if its name is one of ours: the journal decides which table
// root deletes.
func (s insertedStep) deleteTable(ctx context.Context) error {
	if !tableNames.MatchString(s.Table) {
		return fmt.Errorf("%q is not the name of a table of snatlab's; its step is not undone", s.Table)
	}
	family, err := s.Family.Parse()
	if err != nil {
		return err
	}
	return transaction.DeleteTable(ctx, &nftables.Table{Name: s.Table, Family: family})
}
