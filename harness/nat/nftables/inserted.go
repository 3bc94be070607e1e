package nftables

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/compat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
)

// InsertedRule is a rule of snatlab's own in a chain of another program, for the packets
// from a network to a server.
type InsertedRule struct {
	Source  netip.Prefix
	Server  netip.Prefix   // zero: any destination
	Ports   snat.PortRange // only packets from these source ports; zero: all
	UDP     bool           // Ports are those of UDP; else of TCP
	Options snat.Options
	Counts  bool // it counts, and does not translate
	Compat  bool // written as iptables-nft writes rules: it cannot list others in its chains
}

// Message returns the rule as it is written to a chain before, or with netlink.Append
// after, the rule with the handle.
func (r InsertedRule) Message(table Table, chain string, how netlink.HeaderFlags, handle uint64, comment string) RuleMessage {
	m := RuleMessage{Family: table.Family, Table: table.Name, Chain: chain, How: netlink.Create | how, Handle: handle, Comment: comment}
	if table.Family == unix.NFPROTO_INET {
		m.Exprs = append(m.Exprs, compareMeta(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV4)...)
	}
	m.Exprs = append(m.Exprs, MatchSource(r.Source)...)
	if r.Server.IsValid() {
		m.Exprs = append(m.Exprs, MatchDestination(r.Server)...)
	}
	switch {
	case r.Compat:
		if r.Ports != (snat.PortRange{}) || r.Options.ToPorts != (snat.PortRange{}) {
			m.Protocol = uint32(r.protocolNumber())
		}
		m.Exprs = append(m.Exprs, r.foreignExpressions()...)
		return m
	case r.Ports != snat.PortRange{}:
		m.Exprs = append(m.Exprs, portExpressions(r.UDP, r.Ports)...)
	}
	if r.Counts {
		m.Exprs = append(m.Exprs, &expr.Counter{})
	} else {
		m.Exprs = append(m.Exprs, statementExpressions(r.Options)...)
	}
	return m
}

// Protocol returns the name of the protocol of the rule's ports.
func (r InsertedRule) Protocol() string { return snat.Protocol(r.UDP || r.Options.UDP) }

func (r InsertedRule) protocolNumber() byte { return protocolNumber(r.UDP || r.Options.UDP) }

// matchPorts returns the match of iptables for the rule's source ports.
func (r InsertedRule) matchPorts() xt.InfoAny {
	sources, all := [2]uint16{r.Ports.First, r.Ports.Last}, [2]uint16{0, math.MaxUint16}
	if r.UDP {
		return &xt.Udp{SrcPorts: sources, DstPorts: all}
	}
	return &xt.Tcp{SrcPorts: sources, DstPorts: all}
}

func compareMeta(key expr.MetaKey, value byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{value}}}
}

// foreignExpressions returns the end of the rule as iptables-nft writes it. Every version
// of it can list a match of iptables; those before 1.8.9 cannot list ports as nft
// writes them.
func (r InsertedRule) foreignExpressions() (exprs []expr.Any) {
	if r.Ports != (snat.PortRange{}) || r.Options.ToPorts != (snat.PortRange{}) {
		exprs = append(exprs, compareMeta(expr.MetaKeyL4PROTO, r.protocolNumber())...)
	}
	if r.Ports != (snat.PortRange{}) {
		exprs = append(exprs, &expr.Match{Name: r.Protocol(), Info: r.matchPorts()})
	}
	if r.Options.PerMillion != 0 {
		exprs = append(exprs, &expr.Match{Name: "statistic", Info: new(xt.Unknown(compat.DrawnShare(r.Options.PerMillion)))})
	}
	exprs = append(exprs, &expr.Counter{})
	if r.Counts {
		return exprs
	}
	a := compat.NewAction(r.Options)
	return append(exprs, &expr.Target{Name: a.Name, Rev: a.Revision, Info: new(xt.Unknown(a.Info))})
}

// DeleteCommented deletes the rules of a chain that have a comment. A chain that is gone
// is no error.
func DeleteCommented(ctx context.Context, table Table, chain, comment string) error {
	rules, err := ListPlaced(ctx, table)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Chain != chain || r.Comment != comment {
			continue
		}
		err := transaction.Send(ctx, func(c *nftables.Conn) {
			t := table.known()
			_ = c.DelRule(&nftables.Rule{Table: t, Chain: &nftables.Chain{Name: chain, Table: t}, Handle: r.Handle}) // refuses handle 0 only
		})
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			return fmt.Errorf("delete rule %q of %v, chain %s: %w", comment, table, chain, err)
		}
	}
	return nil
}
