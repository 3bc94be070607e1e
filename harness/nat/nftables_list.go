package nat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// dial gives a connection that belongs to the calling thread's namespace, and
// waits no longer than the context.
func (nft) dial(ctx context.Context) (*nftables.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error { return until(ctx, c) }))
}

func until(ctx context.Context, c *netlink.Conn) error {
	deadline, _ := ctx.Deadline() // zero: none
	return c.SetDeadline(deadline)
}

// commit makes what is queued in one transaction.
func (n nft) commit(ctx context.Context, queue func(*nftables.Conn)) error {
	c, err := n.dial(ctx)
	if err != nil {
		return err
	}
	queue(c)
	return bare(c.Flush())
}

// bare takes off what the libraries say around the kernel's answer.
func bare(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// nftListed is a rule as it stands in the chain.
type nftListed struct {
	rule
	shape  nftRule
	handle uint64
}

// another stands for the text of a rule that is not of our shape.
const another = "(a rule of another shape)"

// find gives the rule that stands there under a text.
func (n nft) find(ctx context.Context, text string) (nftListed, error) {
	listed, err := n.list(ctx)
	if err != nil {
		return nftListed{}, err
	}
	at := slices.IndexFunc(listed, func(l nftListed) bool { return l.text == text })
	if at < 0 {
		return nftListed{}, absent(n, text)
	}
	return listed[at], nil
}

// list gives the rules of our chain; there are none if there is no table.
//
// It speaks netlink itself: nftables.Conn.GetRules drops the expressions that
// it does not know without a word (v0.3.0; seen with `ipsec`). What is left of
// a rule could be taken for ours.
func (n nft) list(ctx context.Context) ([]nftListed, error) {
	messages, err := n.dump(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", n.place(), bare(err))
	}
	var listed []nftListed
	for _, m := range messages {
		l, err := parseListed(m.Data)
		if err != nil {
			return nil, fmt.Errorf("read a rule of %s: %w", n.place(), err)
		}
		listed = append(listed, l)
	}
	return listed, nil
}

// open is dial for what we say ourselves.
func (nft) open(ctx context.Context) (*netlink.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	if err := until(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// dump asks the kernel for the rules of our chain.
func (n nft) dump(ctx context.Context) ([]netlink.Message, error) {
	c, err := n.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	which, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte(nftTable.Name + "\x00")},
		{Type: unix.NFTA_RULE_CHAIN, Data: []byte(nftChain.Name + "\x00")},
	})
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{unix.NFPROTO_IPV4, unix.NFNETLINK_V0, 0, 0}, which...), // after the header
	})
}

// header is the length of struct nfgenmsg, which comes before the attributes.
const header = 4

// parseListed reads one message of the dump.
func parseListed(message []byte) (nftListed, error) {
	l := nftListed{rule: rule{text: another}}
	attributes, err := netlink.NewAttributeDecoder(message[min(len(message), header):])
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
			attributes.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					list.Nested(func(e *netlink.AttributeDecoder) error {
						x, err := parseExpr(e)
						exprs = append(exprs, x)
						return err
					})
				}
				return nil
			})
		case unix.NFTA_RULE_USERDATA: // a comment
			exprs = append(exprs, nil)
		}
	}
	if shape, packets, ok := parseNFT(exprs); ok {
		l.rule, l.shape = rule{text: shape.text(), packets: packets}, shape
	}
	return l, attributes.Err()
}

// parseExpr reads one expression: nil if it is none of those in our rule.
func parseExpr(attributes *netlink.AttributeDecoder) (expr.Any, error) {
	var x expr.Any
	for attributes.Next() {
		switch attributes.Type() {
		case unix.NFTA_EXPR_NAME:
			switch attributes.String() {
			case "payload":
				x = &expr.Payload{}
			case "bitwise":
				x = &expr.Bitwise{}
			case "cmp":
				x = &expr.Cmp{}
			case "meta":
				x = &expr.Meta{}
			case "counter":
				x = &expr.Counter{}
			case "immediate":
				x = &expr.Immediate{}
			case "masq":
				x = &expr.Masq{}
			case "nat":
				x = &expr.NAT{}
			}
		case unix.NFTA_EXPR_DATA:
			if x != nil {
				return x, expr.Unmarshal(unix.NFPROTO_IPV4, attributes.Bytes(), x)
			}
		}
	}
	return x, nil
}
