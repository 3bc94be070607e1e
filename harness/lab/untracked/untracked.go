// Package untracked lets packets between clients and a server pass a router without
// conntrack, and so without NAT: they are exempted in a chain of priority raw, as the rules of
// a DNS cache on each node of a cluster exempt its look-ups (NOTRACK in the table raw). A packet without
// an entry cannot lose a race for one. But its source is not translated either, so the server
// must have a route to the clients.
//
// Everything happens in the network namespace of the calling thread.
package untracked

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	ours "snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
)

// Rules say which packets are not tracked: those of the clients to the server, of UDP and of
// TCP, and those of the server to addresses of the clients. All addresses are of
// one family.
type Rules struct {
	Clients netip.Prefix
	Server  netip.Addr
	Tracked snat.PortRange // source ports of the clients whose packets are tracked nevertheless; zero: none
}

// Text returns the rule for the packets of the clients, in the words of the nft program.
func (r Rules) Text() string {
	ports := ""
	if r.Tracked != (snat.PortRange{}) {
		ports = fmt.Sprintf(" th sport != %d-%d", r.Tracked.First, r.Tracked.Last)
	}
	return fmt.Sprintf("%[1]s saddr %[2]v %[1]s daddr %[3]v%[4]s counter notrack", transaction.FamilyName(r.table().Family), r.Clients.Masked(), r.Server, ports)
}

// table returns the table of the rules.
func (r Rules) table() *nftables.Table {
	return &nftables.Table{Name: "snatlab-notrack", Family: transaction.FamilyOf(r.Server)}
}

// chain returns the chain of the rules, before conntrack.
func chain(table *nftables.Table) *nftables.Chain {
	return &nftables.Chain{
		Name: "prerouting", Table: table, Type: nftables.ChainTypeFilter, Policy: new(nftables.ChainPolicyAccept),
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	}
}

// Insert makes the rules. A namespace that has them already is an error. Where the kernel
// lacks a part of nftables, the error is a [transaction.MissingError].
func (r Rules) Insert(ctx context.Context) error {
	if !r.Clients.IsValid() || !r.Server.IsValid() || r.Clients.Addr().Is4() != r.Server.Is4() {
		return fmt.Errorf("exempt packets of %v to %v from conntrack: these are no addresses of one family", r.Clients, r.Server)
	}
	table := r.table()
	chain := chain(table)
	err := transaction.CheckNoTable(ctx, table)
	if err == nil {
		add := func(exprs []expr.Any) func(*nftables.Conn) {
			return func(c *nftables.Conn) { c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs}) }
		}
		err = transaction.Apply(ctx, []transaction.Step{
			{Needs: transaction.Tables.In(table.Family), Queue: func(c *nftables.Conn) { c.CreateTable(table) }},
			{Needs: transaction.FilterChains.In(table.Family), Queue: func(c *nftables.Conn) { c.AddChain(chain) }},
			{Needs: transaction.Conntrack, Queue: add(r.matchRequests())},
			{Needs: transaction.Conntrack, Queue: add(r.matchAnswers())},
		})
		if err != nil {
			err = errors.Join(err, r.Remove(ctx))
		}
	}
	if err != nil {
		return fmt.Errorf("exempt packets of %v to %v from conntrack: %w", r.Clients, r.Server, err)
	}
	return nil
}

// Remove removes the rules. There may be none.
func (r Rules) Remove(ctx context.Context) error { return transaction.DeleteTable(ctx, r.table()) }

// Packets returns how many packets of the clients were not tracked so far. Rules that are
// gone are an error.
func (r Rules) Packets(ctx context.Context) (uint64, error) {
	table := r.table()
	c, err := transaction.Open(ctx)
	if err != nil {
		return 0, err
	}
	listed, err := c.GetRules(table, chain(table))
	if err == nil && len(listed) == 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return 0, fmt.Errorf("read nftables %s: %w", transaction.TableName(table), transaction.KernelError(err))
	}
	for _, e := range listed[0].Exprs { // that of the clients is the first
		if counter, ok := e.(*expr.Counter); ok {
			return counter.Packets, nil
		}
	}
	return 0, fmt.Errorf("nftables %s has a rule without a counter: did another program change it?", transaction.TableName(table))
}

const (
	register   = unix.NFT_REG_1
	portLength = 2 // the source port comes first in the headers of TCP and UDP
)

func (r Rules) matchRequests() []expr.Any {
	exprs := append(ours.MatchSource(r.Clients), ours.MatchDestination(snat.ServerAt(r.Server))...)
	if r.Tracked != (snat.PortRange{}) {
		exprs = append(exprs,
			&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Len: portLength},
			&expr.Range{Op: expr.CmpOpNeq, Register: register, FromData: binary.BigEndian.AppendUint16(nil, r.Tracked.First), ToData: binary.BigEndian.AppendUint16(nil, r.Tracked.Last)})
	}
	return append(exprs, &expr.Counter{}, &expr.Notrack{})
}

// matchAnswers matches the packets to clients' own addresses: the answers to those that were
// translated go to the router's.
func (r Rules) matchAnswers() []expr.Any {
	return append(append(ours.MatchSource(snat.ServerAt(r.Server)), ours.MatchDestination(r.Clients)...), &expr.Counter{}, &expr.Notrack{})
}
