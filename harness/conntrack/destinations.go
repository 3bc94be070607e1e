package conntrack

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Destination is one end of a range of source ports: connections of a protocol to the
// address To that leave with the source address From share it.
type Destination struct {
	Protocol uint8
	To       netip.AddrPort // after DNAT
	From     netip.Addr     // after SNAT
}

// DestinationCount is how many entries a destination has.
type DestinationCount struct {
	Destination
	Entries    int
	Translated int // of these, with a translated source
}

// Destinations are the destinations with the most entries.
type Destinations struct {
	Top     []DestinationCount
	Entries int  // in the table
	AtLeast bool // there were too many destinations: each may have a few more entries
}

// maxDestinations bounds the destinations that are counted at once. With more, those with
// the fewest entries are forgotten.
const maxDestinations = 1 << 16

// CountDestinations counts the entries of the table by their destination, and returns the
// most frequent. It lists the whole table: about one microsecond of CPU time for each entry.
// It requires CAP_NET_ADMIN.
func CountDestinations(ctx context.Context, most int) (Destinations, error) {
	t := tally{counts: map[tupleKey]*tupleCount{}}
	if err := t.listTable(ctx); err != nil {
		return Destinations{}, fmt.Errorf("list conntrack entries: %w", err)
	}
	d := Destinations{Entries: t.entries, AtLeast: t.forgotten > 0}
	keys := slices.SortedFunc(maps.Keys(t.counts), func(a, b tupleKey) int {
		return cmp.Or(cmp.Compare(t.counts[b].entries, t.counts[a].entries), slices.Compare(a[:], b[:]))
	})
	for _, k := range keys[:min(most, len(keys))] {
		d.Top = append(d.Top, DestinationCount{k.destination(), t.counts[k].entries, t.counts[k].translated})
	}
	return d, nil
}

// tupleKey is a destination in a form that is fast to compare: the protocol, the family,
// the port, and both addresses.
type tupleKey [4 + 2*16]byte

func (k tupleKey) destination() Destination {
	address := func(data []byte) netip.Addr {
		if k[1] == unix.AF_INET {
			data = data[:4]
		}
		a, _ := netip.AddrFromSlice(data)
		return a
	}
	return Destination{
		Protocol: k[0], To: netip.AddrPortFrom(address(k[4:20]), binary.BigEndian.Uint16(k[2:])), From: address(k[20:36]),
	}
}

type tupleCount struct{ entries, translated int }

// tally counts entries by their destination.
type tally struct {
	counts    map[tupleKey]*tupleCount
	entries   int
	forgotten int // rounds
}

// listTable counts all entries. It reads only the destination of an entry: the library
// parses the whole entry, and requires several times as much CPU time.
func (t *tally) listTable(ctx context.Context) error {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		return err
	}
	if err := unix.Sendto(socket, listRequest(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, 64<<10) // the kernel sends 32 KiB at most (netlink_dump)
	for done := false; !done; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if done, err = t.addMessages(buffer[:n]); err != nil {
			return err
		}
	}
	return nil
}

// listRequest returns the message that asks for all entries of all families.
func listRequest() []byte {
	const getEntries = 1 // IPCTNL_MSG_CT_GET
	b := binary.NativeEndian.AppendUint32(nil, unix.NLMSG_HDRLEN+4)
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_CTNETLINK<<8|getEntries)
	b = binary.NativeEndian.AppendUint16(b, uint16(netlink.Request|netlink.Dump))
	b = append(b, make([]byte, 8)...)                         // sequence, port
	return append(b, unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0) // struct nfgenmsg
}

// addMessages counts the entries in what the kernel sent, and reports whether it was the
// last part.
func (t *tally) addMessages(data []byte) (done bool, err error) {
	for len(data) >= unix.NLMSG_HDRLEN {
		length := int(binary.NativeEndian.Uint32(data))
		if length < unix.NLMSG_HDRLEN || length > len(data) {
			return false, errors.New("the kernel's message is cut short")
		}
		body := data[unix.NLMSG_HDRLEN:length]
		switch binary.NativeEndian.Uint16(data[4:]) {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return false, errors.New("the kernel's message is cut short")
			}
			if code := -int32(binary.NativeEndian.Uint32(body)); code != 0 {
				return false, unix.Errno(code)
			}
		default:
			if len(body) > 4 {
				t.addEntry(body[4:])
			}
		}
		data = data[min(len(data), (length+3)&^3):]
	}
	return false, nil
}

// Attributes of an entry, include/uapi/linux/netfilter/nfnetlink_conntrack.h. Others stand
// in delete.go.
const (
	attrTupleReply    = 2      // CTA_TUPLE_REPLY
	attrStatus        = 3      // CTA_STATUS
	statusTranslated  = 1 << 4 // IPS_SRC_NAT
	attributeTypeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// addEntry counts one entry. Its reply tuple is that of the answers: they come from the
// destination and go to the translated source.
func (t *tally) addEntry(attributes []byte) {
	var k tupleKey
	translated := false
	for kind, data := range eachAttribute(attributes) {
		switch kind {
		case attrTupleReply:
			k.readTuple(data)
		case attrStatus:
			translated = len(data) == 4 && binary.BigEndian.Uint32(data)&statusTranslated != 0
		}
	}
	if k[1] == 0 {
		return
	}
	t.entries++
	c := t.counts[k]
	if c == nil {
		t.makeRoom()
		c = &tupleCount{}
		t.counts[k] = c
	}
	c.entries++
	if translated {
		c.translated++
	}
}

func (k *tupleKey) readTuple(tuple []byte) {
	for kind, data := range eachAttribute(tuple) {
		for field, value := range eachAttribute(data) {
			switch {
			case kind == attrTupleIP && field == attrIPSource && len(value) == 4:
				k[1] = unix.AF_INET
				copy(k[4:], value)
			case kind == attrTupleIP && field == attrIPDest && len(value) == 4:
				copy(k[20:], value)
			case kind == attrTupleIP && field == attrIP6Source && len(value) == 16:
				k[1] = unix.AF_INET6
				copy(k[4:], value)
			case kind == attrTupleIP && field == attrIP6Dest && len(value) == 16:
				copy(k[20:], value)
			case kind == attrProto && field == attrProtoNum && len(value) == 1:
				k[0] = value[0]
			case kind == attrProto && field == attrPortFrom && len(value) == 2:
				copy(k[2:4], value)
			}
		}
	}
}

// makeRoom forgets the destinations with the fewest entries if there are too many: half
// of them or more.
func (t *tally) makeRoom() {
	for len(t.counts) >= maxDestinations {
		t.forgotten++
		maps.DeleteFunc(t.counts, func(_ tupleKey, c *tupleCount) bool { return c.entries <= t.forgotten })
	}
}

// eachAttribute returns the attributes in data: their types and their values. It ends at
// an attribute that is cut short.
func eachAttribute(data []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(data) >= 4 {
			length := int(binary.NativeEndian.Uint16(data))
			if length < 4 || length > len(data) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(data[2:])&attributeTypeMask, data[4:length]) {
				return
			}
			data = data[min(len(data), (length+3)&^3):]
		}
	}
}
