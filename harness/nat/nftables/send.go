package nftables

import (
	"context"
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/transaction"
)

// RuleMessage is one rule to write.
type RuleMessage struct {
	Family  byte // see Table
	Table   string
	Chain   string
	How     netlink.HeaderFlags
	Handle  uint64 // of the rule that is replaced, or that follows, or that precedes with netlink.Append; 0: none
	Exprs   []expr.Any
	Comment string // empty: none
	// Protocol is that of the packets, for a match of iptables; 0: any.
	Protocol uint32
}

// sendRule writes a rule to the masquerade chain: a new one, one in place of the rule
// with the handle, or one before the rule with the handle.
func sendRule(ctx context.Context, how netlink.HeaderFlags, handle uint64, r MasqueradeRule) error {
	t := r.table()
	return SendRules(ctx, RuleMessage{Family: t.Family, Table: t.Name, Chain: ChainName, How: how, Handle: handle, Exprs: r.buildExpressions()})
}

// SendRules writes rules in one transaction: all of them or none.
//
// It uses netlink directly: google/nftables leaves out the flags of a masquerade
// to ports (v0.3.0), and the kernel ignores the ports without one of them.
func SendRules(ctx context.Context, rules ...RuleMessage) error {
	boundary := func(t netlink.HeaderType) netlink.Message { // of the transaction
		return netlink.Message{Header: netlink.Header{Type: t, Flags: netlink.Request}, Data: messageHeader(unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}
	}
	batch := []netlink.Message{boundary(unix.NFNL_MSG_BATCH_BEGIN)}
	for _, r := range rules {
		data, err := r.encode()
		if err != nil {
			return err
		}
		batch = append(batch, netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE, Flags: netlink.Request | netlink.Acknowledge | r.How},
			Data:   data,
		})
	}
	c, err := transaction.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.SendMessages(append(batch, boundary(unix.NFNL_MSG_BATCH_END))); err != nil {
		return err
	}
	for range rules { // the kernel answers each of them
		if _, err := c.Receive(); err != nil {
			return transaction.KernelError(err)
		}
	}
	return nil
}

// encode returns the message that makes the kernel write the rule.
func (r RuleMessage) encode() ([]byte, error) {
	attributes := netlink.NewAttributeEncoder()
	attributes.ByteOrder = binary.BigEndian
	attributes.String(unix.NFTA_RULE_TABLE, r.Table)
	attributes.String(unix.NFTA_RULE_CHAIN, r.Chain)
	switch {
	case r.Handle == 0:
	case r.How&netlink.Replace != 0:
		attributes.Uint64(unix.NFTA_RULE_HANDLE, r.Handle)
	default: // of the rule that follows, unless netlink.Append is set
		attributes.Uint64(unix.NFTA_RULE_POSITION, r.Handle)
	}
	attributes.Nested(unix.NFTA_RULE_EXPRESSIONS, func(list *netlink.AttributeEncoder) error {
		for _, e := range r.Exprs {
			data, err := marshalExpression(r.Family, e)
			if err != nil {
				return err
			}
			list.Bytes(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, data)
		}
		return nil
	})
	if r.Comment != "" {
		attributes.Bytes(unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.Comment))
	}
	if r.Protocol != 0 {
		attributes.Nested(unix.NFTA_RULE_COMPAT, func(compat *netlink.AttributeEncoder) error {
			compat.Uint32(unix.NFTA_RULE_COMPAT_PROTO, r.Protocol)
			compat.Uint32(unix.NFTA_RULE_COMPAT_FLAGS, 0)
			return nil
		})
	}
	data, err := attributes.Encode()
	return append(messageHeader(r.Family, 0), data...), err
}

// marshalExpression is expr.Marshal with the flags that [SendRules] describes.
func marshalExpression(family byte, e expr.Any) ([]byte, error) {
	m, ok := e.(*expr.Masq)
	if !ok || !m.ToPorts {
		return expr.Marshal(family, e)
	}
	flags := uint32(unix.NF_NAT_RANGE_PROTO_SPECIFIED)
	if m.Random {
		flags |= unix.NF_NAT_RANGE_PROTO_RANDOM
	}
	if m.FullyRandom {
		flags |= unix.NF_NAT_RANGE_PROTO_RANDOM_FULLY
	}
	attributes := netlink.NewAttributeEncoder()
	attributes.String(unix.NFTA_EXPR_NAME, "masq")
	attributes.Nested(unix.NFTA_EXPR_DATA, func(data *netlink.AttributeEncoder) error {
		data.ByteOrder = binary.BigEndian
		data.Uint32(unix.NFTA_MASQ_FLAGS, flags)
		data.Uint32(unix.NFTA_MASQ_REG_PROTO_MIN, m.RegProtoMin)
		data.Uint32(unix.NFTA_MASQ_REG_PROTO_MAX, m.RegProtoMax)
		return nil
	})
	return attributes.Encode()
}

// headerLength is the length of struct nfgenmsg, which precedes the attributes.
const headerLength = 4

// messageHeader returns a struct nfgenmsg.
func messageHeader(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}
