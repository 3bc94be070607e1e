package nftables

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/transaction"
)

// ListedRule is a rule of the masquerade chain as the kernel lists it.
type ListedRule struct {
	Text    string // of the MasqueradeRule, or OtherShape
	Packets uint64
	rule    MasqueradeRule
	handle  uint64
}

// OtherShape is the text of a rule that is not a [MasqueradeRule].
const OtherShape = "(a rule of another shape)"

// findListed returns the listed rule with this text.
func findListed(ctx context.Context, text string) (ListedRule, error) {
	table := tableOf(text)
	listed, err := listRules(ctx, table)
	if err != nil {
		return ListedRule{}, err
	}
	at := slices.IndexFunc(listed, func(l ListedRule) bool { return l.Text == text })
	if at < 0 {
		return ListedRule{}, fmt.Errorf("no rule %q in %v", text, table)
	}
	return listed[at], nil
}

// ListRules returns the rules of the masquerade chain for a network in order. Without the
// table there are none.
func ListRules(ctx context.Context, subnet netip.Prefix) ([]ListedRule, error) {
	return listRules(ctx, TableFor(subnet))
}

// listRules returns the rules of the masquerade chain in a table.
//
// It uses netlink directly: nftables.Conn.GetRules silently drops the
// expressions that it does not know (v0.3.0; seen with `ipsec`). The rest of
// such a rule could be taken for ours.
func listRules(ctx context.Context, table Table) ([]ListedRule, error) {
	messages, err := dumpRules(ctx, table, netlink.Attribute{Type: unix.NFTA_RULE_CHAIN, Data: []byte(ChainName + "\x00")})
	if err != nil {
		return nil, fmt.Errorf("list %v: %w", table, transaction.KernelError(err))
	}
	var listed []ListedRule
	for _, m := range messages {
		l, err := parseListed(table, m.Data)
		if err != nil {
			return nil, fmt.Errorf("read a rule of %v: %w", table, err)
		}
		listed = append(listed, l)
	}
	return listed, nil
}

// dumpRules asks the kernel for the rules of a table, or for those of a chain of it.
func dumpRules(ctx context.Context, table Table, chain ...netlink.Attribute) ([]netlink.Message, error) {
	c, err := transaction.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	which, err := netlink.MarshalAttributes(append(chain, netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: []byte(table.Name + "\x00")}))
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append(messageHeader(table.Family, 0), which...),
	})
}

// parseListed parses one message of the dump of a table.
func parseListed(table Table, message []byte) (ListedRule, error) {
	l := ListedRule{Text: OtherShape}
	attributes, err := netlink.NewAttributeDecoder(message[min(len(message), headerLength):])
	if err != nil {
		return l, err
	}
	attributes.ByteOrder = binary.BigEndian
	var exprs []expr.Any
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_RULE_HANDLE:
			l.handle = attributes.Uint64()
		case unix.NFTA_RULE_EXPRESSIONS:
			exprs = readList(attributes)
		case unix.NFTA_RULE_USERDATA: // a comment
			exprs = append(exprs, nil)
		}
	}
	if rule, packets, ok := parseExpressions(exprs); ok && rule.table() == table {
		l.Text, l.Packets, l.rule = rule.Text(), packets, rule
	}
	return l, attributes.Err()
}

// readList reads the expressions of a rule.
func readList(attributes *netlink.AttributeDecoder) (exprs []expr.Any) {
	attributes.Nested(func(list *netlink.AttributeDecoder) error {
		for list.Next() {
			list.Nested(func(e *netlink.AttributeDecoder) error {
				x, err := parseExpression(e)
				exprs = append(exprs, x)
				return err
			})
		}
		return nil
	})
	return exprs
}

// parseExpression parses one expression, or an action of iptables. It returns nil for an
// expression that no Rule has.
func parseExpression(attributes *netlink.AttributeDecoder) (expr.Any, error) {
	name := ""
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_EXPR_NAME:
			name = attributes.String()
		case unix.NFTA_EXPR_DATA:
			if name == "target" {
				return readForeign(attributes.Bytes())
			}
			return readNamed(name, attributes.Bytes())
		}
	}
	return newExpression(name), nil
}

// readNamed reads the data of an expression. It returns nil for an expression that no
// Rule has.
func readNamed(name string, data []byte) (expr.Any, error) {
	x := newExpression(name)
	if x == nil {
		return nil, nil
	}
	if order, ok := x.(*expr.Byteorder); ok {
		return x, readByteorder(order, data)
	}
	return x, expr.Unmarshal(unix.NFPROTO_IPV4, data, x)
}

func newExpression(name string) expr.Any {
	switch name {
	case "payload":
		return &expr.Payload{}
	case "bitwise":
		return &expr.Bitwise{}
	case "numgen":
		return &expr.Numgen{}
	case "byteorder":
		return &expr.Byteorder{}
	case "cmp":
		return &expr.Cmp{}
	case "meta":
		return &expr.Meta{}
	case "counter":
		return &expr.Counter{}
	case "immediate":
		return &expr.Immediate{}
	case "masq":
		return &expr.Masq{}
	case "nat":
		return &expr.NAT{}
	}
	return nil
}

// readByteorder reads the attributes of the expression. google/nftables cannot read
// them (v0.3.0).
func readByteorder(x *expr.Byteorder, data []byte) error {
	attributes, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return err
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_BYTEORDER_SREG:
			x.SourceRegister = attributes.Uint32()
		case unix.NFTA_BYTEORDER_DREG:
			x.DestRegister = attributes.Uint32()
		case unix.NFTA_BYTEORDER_OP:
			x.Op = expr.ByteorderOp(attributes.Uint32())
		case unix.NFTA_BYTEORDER_LEN:
			x.Len = attributes.Uint32()
		case unix.NFTA_BYTEORDER_SIZE:
			x.Size = attributes.Uint32()
		}
	}
	return attributes.Err()
}
