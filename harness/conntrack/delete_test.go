package conntrack

import (
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/netnstest"
	"snatlab/harness/result"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// connection holds a source and a destination.
type connection [2]netip.AddrPort

func deleteAll(ctx context.Context, all ...connection) error {
	return DeleteEntries(ctx, unix.IPPROTO_TCP, connectionSeq(all))
}

func connectionSeq(all []connection) iter.Seq2[netip.AddrPort, netip.AddrPort] {
	return func(yield func(source, destination netip.AddrPort) bool) {
		for _, c := range all {
			if !yield(c[0], c[1]) {
				return
			}
		}
	}
}

// checkTracked checks that exactly these TCP connections are tracked.
func checkTracked(t *testing.T, want ...connection) {
	t.Helper()
	var links []string
	for _, c := range want {
		links = append(links, "tcp "+formatLink(c[0], c[1]))
	}
	slices.Sort(links)
	if d := cmp.Diff(links, listTracked(t)); d != "" {
		t.Errorf("tracked (-want +got):\n%s", d)
	}
}

// connectThree makes connections: two from one address to one server, and one
// from the port of the first to another server.
func connectThree(t *testing.T) []connection {
	t.Helper()
	one, other := startServer(t), startServer(t)
	first := connect(t, loopback("0.1", 0), one)
	return []connection{{first, one}, {connect(t, loopback("0.1", 0), one), one}, {connect(t, first, other), other}}
}

// DeleteEntries deletes the given entries and no others.
func TestDeleteEntries(t *testing.T) {
	enterNamespace(t)
	all := connectThree(t)
	checkTracked(t, all...)
	if err := deleteAll(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	checkTracked(t, all[1:]...)
	if err := deleteAll(t.Context(), all[1], all[2]); err != nil {
		t.Fatal(err)
	}
	checkTracked(t)
}

// Without the right to delete, the error says so, for any number of entries.
func TestDeleteForbidden(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its capabilities
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
			done <- err
			return
		}
		done <- deleteAll(context.Background(), connection{loopback("0.1", 1), loopback("0.2", 2)}, connection{loopback("0.1", 3), loopback("0.2", 4)})
	}()
	if err := <-done; !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
}

// DeleteEntries skips connections that have no entry.
func TestDeleteMissing(t *testing.T) {
	enterNamespace(t)
	all := connectThree(t)
	server, port := all[0][1], all[0][0].Port()
	if err := deleteAll(t.Context(), connection{loopback("0.9", port), server}, all[0], all[0], connection{loopback("0.1", 1), server}); err != nil {
		t.Fatal(err)
	}
	checkTracked(t, all[1:]...)
	if err := deleteAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkTracked(t, all[1:]...)
}

// The lab's connections are source-NATed. DeleteEntries finds an entry by the
// source before NAT.
func TestDeleteBeforeNAT(t *testing.T) {
	enterNamespace(t)
	addSNAT(t)
	server := startServer(t)
	first := connect(t, loopback("1.1", 0), server)
	second := connect(t, loopback("1.2", first.Port()), server)
	all := []connection{{first, server}, {second, server}}
	checkTracked(t, all...)
	afterNAT := connection{loopback("2.1", first.Port()), server}
	if err := deleteAll(t.Context(), all[0], afterNAT); err != nil {
		t.Fatal(err)
	}
	checkTracked(t, all[1])
}

// The same over IPv6. The entries that are left are counted by their translated source.
func TestDeleteIPv6BeforeNAT(t *testing.T) {
	enterIPv6Namespace(t)
	router := netip.MustParseAddr("2001:2::1")
	at := func(host string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("2001:2:0:1::"+host), port)
	}
	netnstest.AddIPv6(t, router, at("1", 0).Addr(), at("2", 0).Addr())
	netnstest.Run(t, "ip6tables -t nat -A POSTROUTING -s 2001:2:0:1::/64 -p tcp -j SNAT --to-source "+router.String())
	server := startServerAt(t, "[::1]:0")
	first := connect(t, at("1", 0), server)
	second := connect(t, at("2", first.Port()), server)
	checkTracked(t, connection{first, server}, connection{second, server})
	afterNAT := connection{netip.AddrPortFrom(router, first.Port()), server}
	must(t, deleteAll(t.Context(), connection{first, server}, afterNAT))
	checkTracked(t, connection{second, server})
	got, err := CountDestinations(t.Context(), 10)
	must(t, err)
	want := Destinations{Entries: 1, Top: []DestinationCount{{Destination{unix.IPPROTO_TCP, server, router}, 1, 1}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("destinations %+v, want %+v", got, want)
	}
}

// DeleteEntries leaves the entries of other protocols.
func TestDeleteTCPOnly(t *testing.T) {
	enterNamespace(t)
	server := startServer(t)
	source := connect(t, loopback("0.1", 0), server)
	if err := sendUDP(t, source, server); err != nil {
		t.Fatal(err)
	}
	if err := deleteAll(t.Context(), connection{source, server}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"udp " + formatLink(source, server)}, listTracked(t)); d != "" {
		t.Errorf("tracked (-want +got):\n%s", d)
	}
}

// DeleteEntries stops when its context ends.
func TestDeleteCancelled(t *testing.T) {
	enterNamespace(t)
	all := connectThree(t)
	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := DeleteEntries(ctx, unix.IPPROTO_TCP, func(yield func(source, destination netip.AddrPort) bool) {
		if !yield(all[0][0], all[0][1]) {
			t.Error("stopped at once")
		}
		cancel(stop)
		if yield(all[1][0], all[1][1]) {
			t.Error("goes on")
		}
	})
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
	checkTracked(t, all[1:]...)
}

// The error of DeleteEntries names the connection.
func TestDeleteError(t *testing.T) {
	enterNamespace(t)
	c := connectThree(t)[0]
	dropNetAdmin(t)
	err := deleteAll(t.Context(), c)
	want := "delete the conntrack entry from " + c[0].String() + " to " + c[1].String() + ": "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s...", err, want)
	}
}

// Entries of IPv6 are looked up and deleted as those of IPv4.
func TestDeleteIPv6(t *testing.T) {
	enterIPv6Namespace(t)
	server, four := startServerAt(t, "[::1]:0"), connectThree(t)
	var all []connection
	for range 2 {
		all = append(all, connection{connect(t, netip.MustParseAddrPort("[::1]:0"), server), server})
	}
	checkTracked(t, slices.Concat(four, all)...)
	states, err := LookUpStates(t.Context(), unix.IPPROTO_TCP, connectionSeq(all))
	must(t, err)
	for _, c := range all {
		if states[c[0]] == "" {
			t.Errorf("no state of %v", c)
		}
	}
	must(t, deleteAll(t.Context(), all[0]))
	checkTracked(t, append(four, all[1])...)
	const want = "from 127.0.0.1 to ::1: not addresses of one family"
	if err := deleteAll(t.Context(), connection{loopback("0.1", 5), server}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Entries of UDP are looked up and deleted apart from those of TCP with the same ports.
func TestDatagramEntries(t *testing.T) {
	for family, at := range map[string]netip.Addr{"IPv4": netip.MustParseAddr("127.0.0.1"), "IPv6": netip.IPv6Loopback()} {
		t.Run(family, func(t *testing.T) { checkDatagramEntries(t, netip.AddrPortFrom(at, 0)) })
	}
}

func checkDatagramEntries(t *testing.T, anyPort netip.AddrPort) {
	if anyPort.Addr().Is6() {
		enterIPv6Namespace(t)
	} else {
		enterNamespace(t)
	}
	server := startServerAt(t, anyPort.String())
	source := connect(t, anyPort, server)
	deaf, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(server))
	must(t, err)
	defer deaf.Close()
	must(t, sendUDP(t, source, server))
	lookUp := func() string {
		states, err := LookUpStates(t.Context(), unix.IPPROTO_UDP, connectionSeq([]connection{{source, server}}))
		must(t, err)
		return states[source]
	}
	if got := lookUp(); got != result.EntryUnreplied {
		t.Errorf("without an answer: %q", got)
	}
	_, err = deaf.WriteToUDPAddrPort([]byte("x"), source)
	must(t, err)
	if got := lookUp(); got != result.EntryReplied {
		t.Errorf("with an answer: %q", got)
	}
	must(t, DeleteEntries(t.Context(), unix.IPPROTO_UDP, connectionSeq([]connection{{source, server}})))
	if got := lookUp(); got != "" {
		t.Errorf("deleted: %q", got)
	}
	checkTracked(t, connection{source, server})
}
