package nftables

import (
	"context"
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// sendRule writes a rule to the masquerade chain: a new one, one in place of the rule
// with the handle, or one before the rule with the handle.
//
// It uses netlink directly: google/nftables leaves out the flags of a masquerade
// to ports (v0.3.0), and the kernel ignores the ports without one of them.
func sendRule(ctx context.Context, how netlink.HeaderFlags, handle uint64, exprs []expr.Any) error {
	data, err := ruleMessage(how, handle, exprs)
	if err != nil {
		return err
	}
	c, err := dialNetlink(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	boundary := func(t netlink.HeaderType) netlink.Message { // of the transaction
		return netlink.Message{Header: netlink.Header{Type: t, Flags: netlink.Request}, Data: messageHeader(unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}
	}
	_, err = c.SendMessages([]netlink.Message{boundary(unix.NFNL_MSG_BATCH_BEGIN), {
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE, Flags: netlink.Request | netlink.Acknowledge | how},
		Data:   data,
	}, boundary(unix.NFNL_MSG_BATCH_END)})
	if err != nil {
		return err
	}
	_, err = c.Receive()
	return kernelError(err)
}

// ruleMessage returns the message that makes the kernel write a rule.
func ruleMessage(how netlink.HeaderFlags, handle uint64, exprs []expr.Any) ([]byte, error) {
	attributes := netlink.NewAttributeEncoder()
	attributes.ByteOrder = binary.BigEndian
	attributes.String(unix.NFTA_RULE_TABLE, TableName)
	attributes.String(unix.NFTA_RULE_CHAIN, ChainName)
	switch {
	case handle == 0:
	case how&netlink.Replace != 0:
		attributes.Uint64(unix.NFTA_RULE_HANDLE, handle)
	default: // of the rule that follows, unless netlink.Append is set
		attributes.Uint64(unix.NFTA_RULE_POSITION, handle)
	}
	attributes.Nested(unix.NFTA_RULE_EXPRESSIONS, func(list *netlink.AttributeEncoder) error {
		for _, e := range exprs {
			data, err := marshalExpression(e)
			if err != nil {
				return err
			}
			list.Bytes(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, data)
		}
		return nil
	})
	data, err := attributes.Encode()
	return append(messageHeader(unix.NFPROTO_IPV4, 0), data...), err
}

// marshalExpression is expr.Marshal with the flags that [sendRule] describes.
func marshalExpression(e expr.Any) ([]byte, error) {
	m, ok := e.(*expr.Masq)
	if !ok || !m.ToPorts {
		return expr.Marshal(unix.NFPROTO_IPV4, e)
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
