// Package filter makes a server behave as if a filter on the way to it let only some source
// ports in: rules of nftables in the server's own network namespace drop first packets from
// any other port, and count them.
//
// Everything happens in the network namespace of the calling thread. A lab's server has a
// namespace of its own, which ends with the lab, and the rules with it: they need no undo,
// and no journal.
package filter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/transaction"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Rules are what the filter lets in.
type Rules struct {
	Server   netip.Addr         // its family is that of the packets
	Protocol string             // result.TCP or result.UDP: others are let in
	Accept   scenario.PortRange // source ports
	Common   uint16             // port of the server whose packets are counted apart
}

// Counts are the packets that the filter has dropped.
type Counts struct {
	Common uint64 // to the common port
	Others uint64 // to other ports
}

// table returns the table of the filter.
func (r Rules) table() *nftables.Table {
	return &nftables.Table{Name: "snatlab-filter", Family: transaction.FamilyOf(r.Server)}
}

// chain returns its chain, at the input hook.
func chain(table *nftables.Table) *nftables.Chain {
	return &nftables.Chain{
		Name: "input", Table: table, Type: nftables.ChainTypeFilter, Policy: new(nftables.ChainPolicyAccept),
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	}
}

// Insert makes the filter. A namespace that has one already is an error.
func (r Rules) Insert(ctx context.Context) error {
	if !r.Accept.Valid() {
		return fmt.Errorf("no source ports to accept: %v", r.Accept)
	}
	table := r.table()
	chain := chain(table)
	c, err := connect(ctx)
	if err == nil {
		c.CreateTable(table)
		c.AddChain(chain)
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(r.matchProtocol(), append(matchServerPort(r.Common), r.drop()...)...)})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(r.matchProtocol(), r.drop()...)})
		err = c.Flush()
	}
	if err != nil {
		return fmt.Errorf("make the filter of the server, nftables %s: %w", transaction.TableName(table), r.explainError(err))
	}
	return nil
}

// Read returns what the filter has dropped so far. A filter that is gone is an error.
func (r Rules) Read(ctx context.Context) (n Counts, err error) {
	table := r.table()
	c, err := connect(ctx)
	if err != nil {
		return n, err
	}
	rules, err := c.GetRules(table, chain(table))
	if err != nil {
		return n, fmt.Errorf("read the filter of the server: %w", err)
	}
	counters := []*uint64{&n.Common, &n.Others} // in the order of the rules
	if len(rules) != len(counters) {
		return n, fmt.Errorf("the filter of the server, nftables %s, has %d rules in place of %d: did another program change it?", transaction.TableName(table), len(rules), len(counters))
	}
	for i, rule := range rules {
		for _, e := range rule.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				*counters[i] = counter.Packets
			}
		}
	}
	return n, nil
}

// Since returns what was dropped since an earlier reading.
func (n Counts) Since(before Counts) (Counts, error) {
	if n.Common < before.Common || n.Others < before.Others {
		return Counts{}, errors.New("the counters of the server's filter went back: did another program replace it?")
	}
	return Counts{n.Common - before.Common, n.Others - before.Others}, nil
}

func connect(ctx context.Context) (*nftables.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nftables.New()
}

const (
	register = 1 // NFT_REG_1

	sourceField = 0 // offsets of the ports in the headers of TCP and UDP
	serverField = 2
	portLength  = 2
)

// matchProtocol returns `meta l4proto tcp`.
func (r Rules) matchProtocol() []expr.Any {
	number := byte(unix.IPPROTO_TCP)
	if r.Protocol == result.UDP {
		number = unix.IPPROTO_UDP
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{number}},
	}
}

// matchServerPort returns `th dport PORT`.
func matchServerPort(port uint16) []expr.Any {
	return []expr.Any{loadPort(serverField), &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binary.BigEndian.AppendUint16(nil, port)}}
}

// drop returns `th sport != FIRST-LAST counter drop`.
func (r Rules) drop() []expr.Any {
	return []expr.Any{
		loadPort(sourceField),
		&expr.Range{Op: expr.CmpOpNeq, Register: register,
			FromData: binary.BigEndian.AppendUint16(nil, r.Accept.First), ToData: binary.BigEndian.AppendUint16(nil, r.Accept.Last)},
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

func loadPort(field uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: field, Len: portLength}
}

// explainError adds to an answer of the kernel what it may lack.
func (r Rules) explainError(err error) error {
	family := "IPV4"
	if r.Server.Is6() {
		family = "IPV6"
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case !ok:
		return err
	case errno == syscall.EPERM:
		return fmt.Errorf("%w (run as root)", errno)
	case errno == syscall.ENOENT, errno == syscall.EOPNOTSUPP, errno == syscall.EINVAL, errno == syscall.EPROTONOSUPPORT, errno == syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w (does this kernel have nf_tables and nft_counter? CONFIG_NF_TABLES_%s, CONFIG_NFT_COUNTER)", errno, family)
	}
	return errno
}
