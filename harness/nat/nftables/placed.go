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
	messages, err := dumpTable(ctx, table)
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

func dumpTable(ctx context.Context, table Table) ([]netlink.Message, error) {
	c, err := transaction.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	which, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: unix.NFTA_RULE_TABLE, Data: []byte(table.Name + "\x00")}})
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append(messageHeader(table.Family, 0), which...),
	})
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
			attributes.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(e *netlink.AttributeDecoder) error {
						x, err := parseAny(e)
						exprs = append(exprs, x)
						return err
					})
				}
				return nil
			})
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

// parseAny parses an expression of parseExpression, or an action of iptables. It returns
// nil for any other.
func parseAny(e *netlink.AttributeDecoder) (expr.Any, error) {
	var name string
	for e.Next() {
		switch e.Type() {
		case unix.NFTA_EXPR_NAME:
			name = e.String()
		case unix.NFTA_EXPR_DATA:
			if name == "target" {
				return readForeign(e.Bytes())
			}
			return readNamed(name, e.Bytes())
		}
	}
	return nil, nil
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
			r.Known = !e.Prefix && e.Specified == (e.RegProtoMin != 0) && len(ports) > 0 == e.Specified && r.Options.ToSource.First.Is4()
			statement = "snat to " + r.Options.WithPorts(describeAddresses(r.Options.ToSource)) + formatFlags(r.Options)
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

func describeAddresses(a snat.AddressRange) string {
	if !a.First.Is4() || !a.Last.Is4() {
		return "..."
	}
	return formatRange(a)
}
