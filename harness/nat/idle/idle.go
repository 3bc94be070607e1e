// Package idle widens the window of the race by idle rules: rules of nftables that compare
// and change nothing. Everything happens in the network namespace of the calling thread.
package idle

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/format"
	ours "snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// idleTable is the table of the idle rules. Packets meet them between the choice
// of a source port, at priority srcnat, and the insertion of the conntrack entry,
// which is the last action at the hook. Two connections collide in this window.
//
// Another program could name its table snatlab-widen, so our table's name ends
// with the end of the run's id. The run's journal deletes that table and no
// other. Kernels before 4.14 take 31 characters.
type idleTable struct {
	table                  *nftables.Table
	idleChain, postrouting *nftables.Chain
}

const idleTableName = "snatlab-widen"

// idleTableNames matches the names of our tables. Older versions, and journals in
// memory, use the name without a suffix.
var idleTableNames = regexp.MustCompile(`^` + idleTableName + `(-[A-Za-z0-9_-]{1,6})?$`)

func newIdleTable(name string, family nftables.TableFamily) idleTable {
	table := &nftables.Table{Name: name, Family: family}
	return idleTable{
		table:     table,
		idleChain: &nftables.Chain{Name: "idle", Table: table},
		postrouting: &nftables.Chain{
			Name: "postrouting", Table: table, Type: nftables.ChainTypeFilter, Policy: new(nftables.ChainPolicyAccept),
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource + 100),
		},
	}
}

// nameIdleTable returns the name of the table of a run.
func nameIdleTable(journal *undo.Journal) string {
	run := journal.RunID()
	if run == "" {
		return idleTableName
	}
	return idleTableName + "-" + run[max(0, len(run)-6):] // the end is its random part
}

// widenStep is the journalled step that makes the table of idle rules.
type widenStep struct {
	Table  string                 `json:"table,omitempty"` // its name; empty in journals of older versions: idleTableName
	Family transaction.StepFamily `json:"family,omitempty"`
}

const widenKind = "nat.widen"

const register = unix.NFT_REG_1

// Undoers returns the undoer of the step that this package journals.
func Undoers() undo.Undoers {
	return undo.Undoers{widenKind: undo.NewUndoer(func(ctx context.Context, s widenStep) error { return s.deleteTable(ctx) })}
}

// AddRules widens the window of the race by a number of idle rules, which
// compare and change nothing. Only packets that open a connection from one of the
// sources, which are of one family, meet them. With 0 rules nothing is made. An existing table of its
// name belongs to another program and is an error. Where the kernel lacks a
// part of nftables, the error is a [transaction.MissingError].
//
// It requires nftables even if iptables holds the masquerade rule: no table of
// iptables has a hook at that point.
func AddRules(ctx context.Context, journal *undo.Journal, sources []netip.Prefix, rules int) error {
	if rules == 0 {
		return nil
	}
	if err := makeIdleTable(ctx, journal, sources, rules); err != nil {
		return fmt.Errorf("widen the window of the race by %s: %w", format.Plural(rules, "rule", "rules"), err)
	}
	return nil
}

func makeIdleTable(ctx context.Context, journal *undo.Journal, sources []netip.Prefix, rules int) error {
	family, err := familyOf(sources)
	if err != nil {
		return err
	}
	w := newIdleTable(nameIdleTable(journal), family)
	// A kept lab has a table of its own, for its own subnet.
	if err := transaction.CheckNoTable(ctx, w.table); err != nil {
		return err
	}
	if !idleTableNames.MatchString(w.table.Name) {
		return fmt.Errorf("%q cannot be the name of a table of snatlab's", w.table.Name)
	}
	name := transaction.TableName(w.table)
	step := undo.NewStep(widenKind, "nftables "+name, "nft delete "+name, widenStep{Table: w.table.Name, Family: transaction.NewStepFamily(w.table)})
	entry, err := journal.Do(ctx, step, func(ctx context.Context) error { return writeIdleRules(ctx, w, sources, rules) })
	if _, missing := errors.AsType[*transaction.MissingError](err); missing { // the caller may go on without the rules
		err = errors.Join(err, journal.Undo(ctx, entry))
	}
	return err
}

// familyOf returns the family of networks.
func familyOf(sources []netip.Prefix) (family nftables.TableFamily, err error) {
	family = nftables.TableFamilyIPv4
	for i, p := range sources {
		of := transaction.FamilyOf(p.Addr())
		switch {
		case !snat.IsNetwork(p):
			return family, errors.New("not a network of IPv4 or IPv6")
		case i > 0 && of != family:
			return family, fmt.Errorf("%v and %v are of two families", sources[0], p)
		}
		family = of
	}
	return family, nil
}

// writeIdleRules makes the chain of idle rules, and then the rules that jump to
// it.
func writeIdleRules(ctx context.Context, w idleTable, sources []netip.Prefix, rules int) error {
	steps := []transaction.Step{{Needs: transaction.Tables.In(w.table.Family), Queue: func(c *nftables.Conn) { c.CreateTable(w.table); c.AddChain(w.idleChain) }}}
	for left := rules; left > 0; left -= rulesPerTransaction {
		steps = append(steps, transaction.Step{Needs: transaction.Tables, Queue: func(c *nftables.Conn) {
			for range min(left, rulesPerTransaction) {
				c.AddRule(&nftables.Rule{Table: w.table, Chain: w.idleChain, Exprs: idleExpressions(w.table.Family)})
			}
		}})
	}
	return transaction.Apply(ctx, append(steps,
		transaction.Step{Needs: transaction.FilterChains.In(w.table.Family), Queue: func(c *nftables.Conn) { c.AddChain(w.postrouting) }},
		transaction.Step{Needs: transaction.Conntrack, Queue: func(c *nftables.Conn) {
			for _, p := range sources {
				c.AddRule(&nftables.Rule{Table: w.table, Chain: w.postrouting, Exprs: jumpExpressions(p.Masked(), w.idleChain)})
			}
		}}))
}

// rulesPerTransaction bounds the rules written at once. The kernel answers each
// of them twice before any answer is read. A socket holds 200,000 bytes of
// answers by default; more are lost. 5,000 rules take 0.3 s, 20,000 take 1.5 s.
const rulesPerTransaction = 50

// No packet comes from these networks. The kernel loads and compares four bytes for a rule of
// either family.
var (
	nobody4 = netip.MustParsePrefix("0.0.0.1/32")
	nobody6 = netip.MustParsePrefix("0:1::/32")
)

// idleExpressions returns `ip saddr 0.0.0.1`, or `ip6 saddr 0:1::/32`.
func idleExpressions(family nftables.TableFamily) []expr.Any {
	if family == nftables.TableFamilyIPv6 {
		return ours.MatchSource(nobody6)
	}
	return ours.MatchSource(nobody4)
}

// jumpExpressions returns `ct state new ct original ip saddr SUBNET jump idle`, or the
// same with ip6. The packet's own source address is already translated here.
func jumpExpressions(subnet netip.Prefix, idle *nftables.Chain) []expr.Any {
	none := make([]byte, 4)
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW), Xor: none,
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: none},
		&expr.Ct{Key: expr.CtKeySRC, Register: register}, // in the original direction, which is 0
		ours.MaskNetwork(subnet),
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: subnet.Addr().AsSlice()},
		&expr.Verdict{Kind: expr.VerdictJump, Chain: idle.Name},
	}
}

// deleteTable deletes the table of idle rules if its name is one of ours: the
// journal decides which table root deletes.
func (s widenStep) deleteTable(ctx context.Context) error {
	name := cmp.Or(s.Table, idleTableName)
	if !idleTableNames.MatchString(name) {
		return fmt.Errorf("%q is not the name of a table of snatlab's; its step is not undone", name)
	}
	family, err := s.Family.Parse()
	if err != nil {
		return err
	}
	return transaction.DeleteTable(ctx, newIdleTable(name, family).table)
}
