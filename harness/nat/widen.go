package nat

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"snatlab/harness/format"
	"snatlab/harness/undo"
)

// The idle rules stand in a table of their own. They are in force between the
// choice of a source port, which srcnat is, and the insertion of the entry,
// which is the very last: whoever collides does so in between.
//
// Several programs could think of the name snatlab-widen, so the table's name
// ends in the end of the run's id. The run's journal deletes that table and no
// other. Kernels before 4.14 take 31 characters.
type wide struct {
	table                  *nftables.Table
	idleChain, postrouting *nftables.Chain
}

const wideName = "snatlab-widen"

// wideNames are the names that our tables have. Older versions, and journals in
// memory, use the bare one.
var wideNames = regexp.MustCompile(`^` + wideName + `(-[A-Za-z0-9_-]{1,6})?$`)

func newWide(name string) wide {
	table := &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
	return wide{
		table:     table,
		idleChain: &nftables.Chain{Name: "idle", Table: table},
		postrouting: &nftables.Chain{
			Name: "postrouting", Table: table, Type: nftables.ChainTypeFilter, Policy: new(nftables.ChainPolicyAccept),
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource + 100),
		},
	}
}

// wideNameOf returns the name of the table of a run.
func wideNameOf(journal *undo.Journal) string {
	run := journal.Run()
	if run == "" {
		return wideName
	}
	return wideName + "-" + run[max(0, len(run)-6):] // the end is its random part
}

// widened is the journalled step: the table of idle rules.
type widened struct {
	Table string `json:"table,omitempty"` // its name; empty in journals of older versions: wideName
}

// KindWiden is the kind of the step that Widen is.
const KindWiden = "nat.widen"

// Widen widens the window of the race by a number of idle rules, which compare
// and do nothing. Packets that open no connection from the subnet do not meet
// them. With 0 rules nothing is made. A table of such a name that is there
// already has an owner: that is an error. Where the kernel lacks a part of
// nftables, the error is a [MissingError].
//
// It takes nftables whatever holds the masquerade rule: no table of iptables
// has its turn at that point.
func Widen(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, rules int) error {
	if rules == 0 {
		return nil
	}
	if err := (nft{}).widen(ctx, journal, subnet.Masked(), rules); err != nil {
		return fmt.Errorf("widen the window of the race by %s: %w", format.Plural(rules, "rule", "rules"), err)
	}
	return nil
}

func (n nft) widen(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, rules int) error {
	if !subnet.IsValid() || !subnet.Addr().Is4() {
		return errNotIPv4
	}
	if err := n.vacant(ctx, wideNames.MatchString); err != nil {
		return err
	}
	w := newWide(wideNameOf(journal))
	if !wideNames.MatchString(w.table.Name) {
		return fmt.Errorf("%q cannot be the name of a table of snatlab's", w.table.Name)
	}
	step := undo.NewStep(KindWiden, "nftables "+called(w.table), "nft delete "+called(w.table), widened{Table: w.table.Name})
	_, err := journal.Do(ctx, step, func(ctx context.Context) error { return n.writeIdle(ctx, w, subnet, rules) })
	return err
}

// writeIdle makes the chain of idle rules, and then what leads there.
func (n nft) writeIdle(ctx context.Context, w wide, subnet netip.Prefix, rules int) error {
	steps := []nftStep{{partTables, func(c *nftables.Conn) { c.CreateTable(w.table); c.AddChain(w.idleChain) }}}
	for left := rules; left > 0; left -= perTransaction {
		steps = append(steps, nftStep{partTables, func(c *nftables.Conn) {
			for range min(left, perTransaction) {
				c.AddRule(&nftables.Rule{Table: w.table, Chain: w.idleChain, Exprs: idleExprs()})
			}
		}})
	}
	return n.build(ctx, append(steps,
		nftStep{partFilter, func(c *nftables.Conn) { c.AddChain(w.postrouting) }},
		nftStep{partCT, func(c *nftables.Conn) {
			c.AddRule(&nftables.Rule{Table: w.table, Chain: w.postrouting, Exprs: opening(subnet, w.idleChain)})
		}}))
}

// perTransaction bounds the rules written at once. The kernel answers each of
// them twice, before anything is read: by 200,000 bytes, which a socket holds by
// default, answers are lost. 5,000 rules take 0.3 s, 20,000 take 1.5 s.
const perTransaction = 50

// idleExprs are `ip saddr 0.0.0.1`, an address that no packet comes from.
func idleExprs() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: sourceField, Len: net.IPv4len},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{0, 0, 0, 1}},
	}
}

// opening is `ct state new ct original ip saddr SUBNET jump idle`. The address
// in the packet is another one by then.
func opening(subnet netip.Prefix, idle *nftables.Chain) []expr.Any {
	address, none := subnet.Addr().As4(), make([]byte, net.IPv4len)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW), Xor: none,
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: none},
		&expr.Ct{Key: expr.CtKeySRC, Register: register}, // in the original direction, which is 0
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: net.IPv4len,
			Mask: net.CIDRMask(subnet.Bits(), 32), Xor: none,
		},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address[:]},
		&expr.Verdict{Kind: expr.VerdictJump, Chain: idle.Name},
	}
}

func (s widened) remove(ctx context.Context) error {
	name := cmp.Or(s.Table, wideName)
	if !wideNames.MatchString(name) {
		return fmt.Errorf("%q is not the name of a table of snatlab's; its step is not undone", name)
	}
	return nft{}.drop(ctx, newWide(name).table)
}
