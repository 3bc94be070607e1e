package nftables

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/compat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
)

// PlacedRule is a rule of any program and the place in which it stands.
type PlacedRule struct {
	Chain   string
	Handle  uint64 // never given to another rule of the table
	Comment string
	Text    string // as nft prints it, except for parts that this package cannot read
	Counted bool
	Packets uint64 // if it is counted
	// Translates is set for a rule that translates source addresses. Options are those of
	// its action, and Known is set if it has no others.
	Translates bool
	Known      bool
	Options    snat.Options
	Compat     bool // its action is one of iptables
}

// ListPlaced lists the rules of a table, chain by chain. Without the table there are none.
func ListPlaced(ctx context.Context, table Table) ([]PlacedRule, error) {
	messages, err := dumpRules(ctx, table)
	if err != nil {
		return nil, fmt.Errorf("list %v: %w", table, transaction.KernelError(err))
	}
	var rules []PlacedRule
	for _, m := range messages {
		r, err := parsePlaced(table.Family, m.Data)
		if err != nil {
			return nil, fmt.Errorf("read a rule of %v: %w", table, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parsePlaced(family byte, message []byte) (r PlacedRule, err error) {
	attributes, err := netlink.NewAttributeDecoder(message[min(len(message), headerLength):])
	if err != nil {
		return r, err
	}
	attributes.ByteOrder = binary.BigEndian
	var exprs []expr.Any
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_RULE_CHAIN:
			r.Chain = attributes.String()
		case unix.NFTA_RULE_HANDLE:
			r.Handle = attributes.Uint64()
		case unix.NFTA_RULE_USERDATA:
			r.Comment, _ = userdata.GetString(attributes.Bytes(), userdata.TypeComment)
			r.Comment = strings.TrimRight(r.Comment, "\x00")
		case unix.NFTA_RULE_EXPRESSIONS:
			exprs = readList(attributes)
		}
	}
	for _, e := range exprs {
		if a, ok := e.(*foreignAction); ok {
			a.IPv6 = family == unix.NFPROTO_IPV6
		}
	}
	r.readExpressions(exprs)
	return r, attributes.Err()
}

// foreignAction is an action of iptables.
type foreignAction struct {
	expr.Any
	compat.Action
}

func readForeign(data []byte) (expr.Any, error) {
	attributes, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return nil, err
	}
	attributes.ByteOrder = binary.BigEndian
	a := &foreignAction{}
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_TARGET_NAME:
			a.Name = attributes.String()
		case unix.NFTA_TARGET_REV:
			a.Revision = attributes.Uint32()
		case unix.NFTA_TARGET_INFO:
			a.Info = attributes.Bytes()
		}
	}
	return a, attributes.Err()
}

func (r *PlacedRule) readExpressions(exprs []expr.Any) {
	statement := ""
	var loaded [][]byte // values of expr.Immediate
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Counter:
			r.Counted, r.Packets = true, e.Packets
		case *expr.Immediate:
			loaded = append(loaded, e.Data)
		case *expr.Masq:
			r.Translates, r.Known = true, !e.Persistent
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToPorts: readPorts(loaded)}
			statement = "masquerade" + describePorts(r.Options) + formatFlags(r.Options)
		case *expr.NAT:
			r.Translates = e.Type == expr.NATTypeSourceNAT
			addresses, ports := splitLoaded(loaded)
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, Persistent: e.Persistent, ToSource: readAddresses(addresses), ToPorts: readPorts(ports)}
			r.Known = !e.Prefix && e.Specified == (e.RegProtoMin != 0) && len(ports) > 0 == e.Specified && isReadable(r.Options.ToSource)
			statement = "snat to " + describeTarget(r.Options) + formatFlags(r.Options)
		case *foreignAction:
			r.Compat = true
			r.Options, r.Translates, r.Known = e.Action.Options()
			statement = compat.Text(e.Name, r.Options)
		}
	}
	if !r.Translates {
		return
	}
	counter := ""
	if r.Counted && !r.Compat {
		counter = "counter "
	}
	if !r.Known {
		statement += " ..."
	}
	own, _, isOwn := parseExpressions(slices.Clone(exprs))
	exprs = slices.DeleteFunc(exprs, func(e expr.Any) bool { _, is := e.(*foreignAction); return is })
	r.Text = describeMatches(exprs) + counter + statement
	if isOwn {
		r.Text = own.Text()
	}
	if r.Comment != "" {
		r.Text += fmt.Sprintf(" comment %q", r.Comment)
	}
}

func describeTarget(o snat.Options) string {
	if !isReadable(o.ToSource) {
		return o.WithPorts("...")
	}
	return formatTarget(o)
}

func isReadable(a snat.AddressRange) bool {
	return snat.Options{ToSource: a}.Check() == nil && a.First.IsValid()
}
