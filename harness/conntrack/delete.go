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

// DeleteEntries deletes the entries of connections of a protocol, which is given by its
// number in IP headers. Each connection is given by its source and destination before NAT; nothing else distinguishes snatlab's
// entries from those of other programs. A connection without an entry is skipped.
// The table is never flushed.
//
// The deletions are sent in batches. One at a time, each requires a system call, an
// answer and a wake-up, which take more than ten times as long as the deletion.
func DeleteEntries(ctx context.Context, protocol uint8, connections iter.Seq2[netip.AddrPort, netip.AddrPort]) error {
	d, err := openDeleter(protocol)
	if err != nil {
		return fmt.Errorf("open ctnetlink: %w", err)
	}
	defer d.close()
	var batch []connectionPair
	for source, destination := range connections {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), d.deleteBatch(batch))
		}
		batch = append(batch, connectionPair{source, destination})
		if len(batch) == deletionsPerMessage {
			if err := d.deleteBatch(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return d.deleteBatch(batch)
}

// deleter is a socket of ctnetlink. The kernel works through a batch, and queues all its
// answers, before the call that sends the batch returns. So an answer is read by one
// system call, which never waits. Connections that lost their packet have no entry, and
// in a trial there are thousands of them, each with an answer.
type deleter struct {
	socket   int
	protocol uint8
	sequence uint32 // of the last message
	request  []byte
	answer   [4096]byte
}

func openDeleter(protocol uint8) (*deleter, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	d := &deleter{socket: socket, protocol: protocol}
	if err := unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *deleter) close() { unix.Close(d.socket) }

// deleteBatch deletes entries with one message to the kernel, which works through them
// in order and answers those that fail, and the last.
func (d *deleter) deleteBatch(batch []connectionPair) error {
	if len(batch) == 0 {
		return nil
	}
	d.request = d.request[:0]
	first := d.sequence + 1
	for i, c := range batch {
		d.sequence++
		flags := netlink.Request
		if i == len(batch)-1 {
			flags |= netlink.Acknowledge
		}
		if err := d.addDeletion(c, flags); err != nil {
			return nameDeletion(c, err)
		}
	}
	if err := unix.Sendto(d.socket, d.request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("delete conntrack entries: %w", err)
	}
	var failed error
	for sequence := uint32(0); sequence != d.sequence; {
		var answer unix.Errno
		var err error
		if sequence, answer, err = d.readAnswer(); err != nil { // a batch that is refused as a whole has one answer
			return cmp.Or(failed, fmt.Errorf("delete conntrack entries: %w", err))
		}
		if at := sequence - first; answer != 0 && answer != unix.ENOENT && int(at) < len(batch) {
			failed = cmp.Or(failed, nameDeletion(batch[at], answer))
		}
	}
	return failed
}

func nameDeletion(c connectionPair, err error) error {
	return fmt.Errorf("delete the conntrack entry from %v to %v: %w", c.source, c.destination, err)
}

// addDeletion adds the message that deletes an entry to the request.
func (d *deleter) addDeletion(c connectionPair, flags netlink.HeaderFlags) error {
	m, err := deletion(d.protocol, c)
	if err != nil {
		return err
	}
	m.Header.Flags, m.Header.Sequence = flags, d.sequence
	m.Header.Length = uint32(unix.NLMSG_HDRLEN + len(m.Data))
	text, err := m.MarshalBinary()
	d.request = append(d.request, text...)
	return err
}

// readAnswer returns the number of the message that the kernel answers, and the error in
// the answer: 0 is none (netlink(7)).
func (d *deleter) readAnswer() (sequence uint32, answer unix.Errno, err error) {
	n, _, err := unix.Recvfrom(d.socket, d.answer[:], unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EINTR):
		return d.readAnswer()
	case err != nil:
		return 0, 0, err
	case n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(d.answer[4:]) != unix.NLMSG_ERROR:
		return 0, 0, errors.New("the kernel's answer is no acknowledgement")
	}
	return binary.NativeEndian.Uint32(d.answer[8:]), unix.Errno(-int32(binary.NativeEndian.Uint32(d.answer[unix.NLMSG_HDRLEN:]))), nil
}

// Attributes of a deletion, include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const (
	messageDelete = 2 // IPCTNL_MSG_CT_DELETE

	attrTupleOrig = 1 // CTA_TUPLE_ORIG
	attrTupleIP   = 1 // CTA_TUPLE_IP
	attrProto     = 2 // CTA_TUPLE_PROTO
	attrIPSource  = 1 // CTA_IP_V4_SRC
	attrIPDest    = 2 // CTA_IP_V4_DST
	attrIP6Source = 3 // CTA_IP_V6_SRC
	attrIP6Dest   = 4 // CTA_IP_V6_DST
	attrProtoNum  = 1 // CTA_PROTO_NUM
	attrPortFrom  = 2 // CTA_PROTO_SRC_PORT
	attrPortTo    = 3 // CTA_PROTO_DST_PORT
)

// deletion returns the message that deletes the entry of a connection.
func deletion(protocol uint8, c connectionPair) (netlink.Message, error) {
	from, to := c.source.Addr(), c.destination.Addr()
	family, source, destination := netfilter.ProtoIPv4, uint16(attrIPSource), uint16(attrIPDest)
	switch {
	case from.Is4() && to.Is4():
	case from.Is6() && to.Is6():
		family, source, destination = netfilter.ProtoIPv6, attrIP6Source, attrIP6Dest
	default:
		return netlink.Message{}, fmt.Errorf("from %v to %v: not addresses of one family", from, to)
	}
	header := netfilter.Header{
		SubsystemID: netfilter.NFSubsysCTNetlink, MessageType: messageDelete,
		Family: family, Flags: netlink.Request,
	}
	return netfilter.MarshalNetlink(header, []netfilter.Attribute{{Type: attrTupleOrig, Nested: true, Children: []netfilter.Attribute{
		{Type: attrTupleIP, Nested: true, Children: []netfilter.Attribute{
			{Type: source, Data: from.AsSlice()},
			{Type: destination, Data: to.AsSlice()},
		}},
		{Type: attrProto, Nested: true, Children: []netfilter.Attribute{
			{Type: attrProtoNum, Data: []byte{protocol}},
			{Type: attrPortFrom, Data: binary.BigEndian.AppendUint16(nil, c.source.Port())},
			{Type: attrPortTo, Data: binary.BigEndian.AppendUint16(nil, c.destination.Port())},
		}},
	}}})
}

// originalFlow returns the flow by which the kernel finds an entry.
func originalFlow(protocol uint8, source, destination netip.AddrPort) conntrack.Flow {
	return conntrack.NewFlow(protocol, 0, source.Addr(), destination.Addr(), source.Port(), destination.Port(), 0, 0)
}
