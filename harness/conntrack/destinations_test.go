package conntrack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/netnstest"
)

// attribute returns one attribute of netlink.
func attribute(kind uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), data...)
	return append(b, make([]byte, -len(b)&3)...)
}

// entryMessage returns the message of an entry whose answers come from and go to these.
func entryMessage(from netip.AddrPort, to netip.Addr, status byte) []byte {
	source, dest := uint16(attrIPSource), uint16(attrIPDest)
	if from.Addr().Is6() {
		source, dest = attrIP6Source, attrIP6Dest
	}
	const nested = unix.NLA_F_NESTED
	tuple := bytes.Join([][]byte{
		attribute(attrTupleIP|nested, append(attribute(source, from.Addr().AsSlice()...), attribute(dest, to.AsSlice()...)...)...),
		attribute(attrProto|nested, append(attribute(attrProtoNum, unix.IPPROTO_TCP),
			attribute(attrPortFrom, binary.BigEndian.AppendUint16(nil, from.Port())...)...)...),
	}, nil)
	body := bytes.Join([][]byte{{unix.AF_INET, 0, 0, 0}, attribute(attrTupleReply|nested, tuple...), attribute(attrStatus, 0, 0, 0, status)}, nil)
	return netlinkMessage(unix.NFNL_SUBSYS_CTNETLINK<<8, body)
}

func netlinkMessage(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), make([]byte, 10)...)
	return append(b, body...)
}

func TestTally(t *testing.T) {
	t.Parallel()
	server, server6 := netip.MustParseAddrPort("198.18.1.2:443"), netip.MustParseAddrPort("[2001:2::2]:53")
	router, router6 := netip.MustParseAddr("198.18.1.1"), netip.MustParseAddr("2001:2::1")
	data := bytes.Join([][]byte{
		entryMessage(server, router, statusTranslated|8), entryMessage(server6, router6, 8), entryMessage(server, router, 8),
		netlinkMessage(unix.NLMSG_DONE, make([]byte, 4)),
	}, nil)
	tl := tally{counts: map[tupleKey]*tupleCount{}}
	if done, err := tl.addMessages(data); !done || err != nil || tl.entries != 3 {
		t.Fatalf("done %v, %v, %d entries", done, err, tl.entries)
	}
	got := map[Destination]tupleCount{}
	for k, c := range tl.counts {
		got[k.destination()] = *c
	}
	want := map[Destination]tupleCount{
		{unix.IPPROTO_TCP, server, router}:   {2, 1},
		{unix.IPPROTO_TCP, server6, router6}: {1, 0},
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for d, c := range want {
		if got[d] != c {
			t.Errorf("%v: got %v, want %v", d, got[d], c)
		}
	}
}

func TestTallyErrors(t *testing.T) {
	t.Parallel()
	refused := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.EPERM)+1)
	for name, data := range map[string][]byte{
		"refused":                netlinkMessage(unix.NLMSG_ERROR, refused),
		"an error that is short": netlinkMessage(unix.NLMSG_ERROR, nil),
		"a message cut short":    entryMessage(netip.MustParseAddrPort("198.18.1.2:443"), netip.MustParseAddr("198.18.1.1"), 0)[:60],
		"a length of 0":          make([]byte, 16),
	} {
		tl := tally{counts: map[tupleKey]*tupleCount{}}
		if _, err := tl.addMessages(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// With too many destinations, the one with many entries is kept.
func TestTallyForgets(t *testing.T) {
	t.Parallel()
	tl := tally{counts: map[tupleKey]*tupleCount{}}
	router := netip.MustParseAddr("198.18.1.1")
	add := func(server netip.AddrPort) {
		if _, err := tl.addMessages(entryMessage(server, router, 0)); err != nil {
			t.Fatal(err)
		}
	}
	frequent := netip.MustParseAddrPort("198.18.1.2:443")
	for i := range 3 * maxDestinations {
		add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 19, byte(i >> 16), byte(i >> 8)}), uint16(i&255)))
		if i%100 == 0 {
			add(frequent)
		}
	}
	if len(tl.counts) > maxDestinations || tl.forgotten == 0 {
		t.Errorf("%d destinations, forgotten %d times", len(tl.counts), tl.forgotten)
	}
	for k, c := range tl.counts {
		if k.destination().To == frequent {
			if c.entries < 3*maxDestinations/100-tl.forgotten {
				t.Errorf("%d entries of the frequent one", c.entries)
			}
			return
		}
	}
	t.Error("the frequent one was forgotten")
}

// Whatever the messages hold, no more entries are counted than there are messages.
func FuzzTally(f *testing.F) {
	f.Add(entryMessage(netip.MustParseAddrPort("198.18.1.2:443"), netip.MustParseAddr("198.18.1.1"), statusTranslated))
	f.Add(netlinkMessage(unix.NLMSG_DONE, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		tl := tally{counts: map[tupleKey]*tupleCount{}}
		_, _ = tl.addMessages(data)
		if tl.entries > len(data)/unix.NLMSG_HDRLEN {
			t.Errorf("%d entries in %d bytes", tl.entries, len(data))
		}
	})
}

// A listing of the table. SNATLAB_BENCH_ENTRIES sets how many entries it has.
func BenchmarkCountDestinations(b *testing.B) {
	netnstest.Enter(b)
	entries, err := strconv.Atoi(os.Getenv("SNATLAB_BENCH_ENTRIES"))
	if err != nil {
		entries = 50_000
	}
	fillTable(b, entries)
	before := threadTime(b)
	for b.Loop() {
		d, err := CountDestinations(b.Context(), 10)
		if err != nil || d.Entries < entries {
			b.Fatalf("%d of %d entries: %v", d.Entries, entries, err)
		}
	}
	b.ReportMetric(float64((threadTime(b)-before).Nanoseconds())/float64(b.N*entries), "cpu-ns/entry")
}

// threadTime returns the CPU time of this thread. Elapsed time would also count other
// programs on a busy machine.
func threadTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
