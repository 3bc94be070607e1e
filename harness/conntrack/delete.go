package conntrack

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"github.com/ti-mo/netfilter"
	"golang.org/x/sys/unix"
)

// connectionPair is the source and the destination that a connection had before NAT.
type connectionPair struct{ source, destination netip.AddrPort }

// deletionsPerMessage bounds the deletions that are sent at once. The kernel answers
// each one that fails, and a socket has room for this many answers (net.core.rmem_default).
const deletionsPerMessage = 64

// DeleteEntries deletes the entries of TCP connections. Each connection is given
// by its source and destination before NAT; nothing else distinguishes snatlab's
// entries from those of other programs. A connection without an entry is skipped.
// The table is never flushed.
//
// The deletions are sent in batches. One at a time, each requires a system call, an
// answer and a wake-up, which take more than ten times as long as the deletion.
func DeleteEntries(ctx context.Context, connections iter.Seq2[netip.AddrPort, netip.AddrPort]) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("open ctnetlink: %w", err)
	}
	defer conn.Close()
	var batch []connectionPair
	for source, destination := range connections {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), deleteBatch(conn, batch))
		}
		batch = append(batch, connectionPair{source, destination})
		if len(batch) == deletionsPerMessage {
			if err := deleteBatch(conn, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return deleteBatch(conn, batch)
}

// deleteBatch deletes entries with one message to the kernel, which works through them
// in order and answers those that fail, and the last.
func deleteBatch(conn *netlink.Conn, batch []connectionPair) error {
	if len(batch) == 0 {
		return nil
	}
	messages := make([]netlink.Message, len(batch))
	for i, c := range batch {
		m, err := deletion(c)
		if err != nil {
			return fmt.Errorf("delete the conntrack entry from %v to %v: %w", c.source, c.destination, err)
		}
		messages[i] = m
	}
	messages[len(batch)-1].Header.Flags |= netlink.Acknowledge
	sent, err := conn.SendMessages(messages)
	if err != nil {
		return fmt.Errorf("delete conntrack entries: %w", err)
	}
	for last, done := sent[len(sent)-1].Header.Sequence, false; !done; {
		sequence, answer := receiveAnswer(conn)
		if failed := sequence - sent[0].Header.Sequence; answer != nil && !errors.Is(answer, unix.ENOENT) {
			if int(failed) >= len(batch) {
				return fmt.Errorf("delete conntrack entries: %w", answer)
			}
			err = cmp.Or(err, fmt.Errorf("delete the conntrack entry from %v to %v: %w", batch[failed].source, batch[failed].destination, answer))
		}
		done = sequence == last
	}
	return err
}

// receiveAnswer returns the number of the message that the kernel answers, and the
// error in the answer. If there is no answer, the number is that of no message.
func receiveAnswer(conn *netlink.Conn) (sequence uint32, err error) {
	messages, err := conn.Receive()
	if refused, ok := errors.AsType[*netlink.OpError](err); ok {
		return refused.Sequence, err
	}
	if err != nil || len(messages) == 0 {
		return 0, cmp.Or(err, errors.New("the kernel does not answer"))
	}
	return messages[len(messages)-1].Header.Sequence, nil
}

// Attributes of a deletion, include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const (
	messageDelete = 2 // IPCTNL_MSG_CT_DELETE

	attrTupleOrig = 1 // CTA_TUPLE_ORIG
	attrTupleIP   = 1 // CTA_TUPLE_IP
	attrProto     = 2 // CTA_TUPLE_PROTO
	attrIPSource  = 1 // CTA_IP_V4_SRC
	attrIPDest    = 2 // CTA_IP_V4_DST
	attrProtoNum  = 1 // CTA_PROTO_NUM
	attrPortFrom  = 2 // CTA_PROTO_SRC_PORT
	attrPortTo    = 3 // CTA_PROTO_DST_PORT
)

// deletion returns the message that deletes the entry of a TCP connection over IPv4.
func deletion(c connectionPair) (netlink.Message, error) {
	if !c.source.Addr().Is4() || !c.destination.Addr().Is4() {
		return netlink.Message{}, errors.New("not an IPv4 connection")
	}
	header := netfilter.Header{
		SubsystemID: netfilter.NFSubsysCTNetlink, MessageType: messageDelete,
		Family: netfilter.ProtoIPv4, Flags: netlink.Request,
	}
	return netfilter.MarshalNetlink(header, []netfilter.Attribute{{Type: attrTupleOrig, Nested: true, Children: []netfilter.Attribute{
		{Type: attrTupleIP, Nested: true, Children: []netfilter.Attribute{
			{Type: attrIPSource, Data: c.source.Addr().AsSlice()},
			{Type: attrIPDest, Data: c.destination.Addr().AsSlice()},
		}},
		{Type: attrProto, Nested: true, Children: []netfilter.Attribute{
			{Type: attrProtoNum, Data: []byte{unix.IPPROTO_TCP}},
			{Type: attrPortFrom, Data: binary.BigEndian.AppendUint16(nil, c.source.Port())},
			{Type: attrPortTo, Data: binary.BigEndian.AppendUint16(nil, c.destination.Port())},
		}},
	}}})
}

// originalFlow returns the flow by which the kernel finds an entry.
func originalFlow(source, destination netip.AddrPort) conntrack.Flow {
	return conntrack.NewFlow(unix.IPPROTO_TCP, 0, source.Addr(), destination.Addr(), source.Port(), destination.Port(), 0, 0)
}
