package conntrack

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// connection is a source and a destination.
type connection [2]netip.AddrPort

func forget(ctx context.Context, all ...connection) error { return DeleteEntries(ctx, sequence(all)) }

func sequence(all []connection) iter.Seq2[netip.AddrPort, netip.AddrPort] {
	return func(yield func(source, destination netip.AddrPort) bool) {
		for _, c := range all {
			if !yield(c[0], c[1]) {
				return
			}
		}
	}
}

// left checks that these TCP connections, and no others, are tracked.
func left(t *testing.T, want ...connection) {
	t.Helper()
	var links []string
	for _, c := range want {
		links = append(links, "tcp "+link(c[0], c[1]))
	}
	slices.Sort(links)
	if d := cmp.Diff(links, connections(t)); d != "" {
		t.Errorf("tracked (-want +got):\n%s", d)
	}
}

// three makes connections: two from one address to one server, and one to
// another from the port of the first.
func three(t *testing.T) []connection {
	t.Helper()
	one, other := listen(t), listen(t)
	first := connect(t, at("0.1", 0), one)
	return []connection{{first, one}, {connect(t, at("0.1", 0), one), one}, {connect(t, first, other), other}}
}

func TestForgetDeletesTheGivenEntriesAndNoOthers(t *testing.T) {
	namespace(t)
	all := three(t)
	left(t, all...)
	if err := forget(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	left(t, all[1:]...)
	if err := forget(t.Context(), all[1], all[2]); err != nil {
		t.Fatal(err)
	}
	left(t)
}

func TestForgetPassesOverWhatHasNoEntry(t *testing.T) {
	namespace(t)
	all := three(t)
	server, port := all[0][1], all[0][0].Port()
	if err := forget(t.Context(), connection{at("0.9", port), server}, all[0], all[0], connection{at("0.1", 1), server}); err != nil {
		t.Fatal(err)
	}
	left(t, all[1:]...)
	if err := forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	left(t, all[1:]...)
}

// What the lab makes is source-NATed, and known by what it set out with.
func TestForgetKnowsAnEntryByItsSourceBeforeNAT(t *testing.T) {
	namespace(t)
	translate(t)
	server := listen(t)
	first := connect(t, at("1.1", 0), server)
	second := connect(t, at("1.2", first.Port()), server)
	all := []connection{{first, server}, {second, server}}
	left(t, all...)
	afterNAT := connection{at("2.1", first.Port()), server}
	if err := forget(t.Context(), all[0], afterNAT); err != nil {
		t.Fatal(err)
	}
	left(t, all[1])
}

func TestForgetLeavesOtherProtocolsAlone(t *testing.T) {
	namespace(t)
	server := listen(t)
	source := connect(t, at("0.1", 0), server)
	if err := send(t, source, server); err != nil {
		t.Fatal(err)
	}
	if err := forget(t.Context(), connection{source, server}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"udp " + link(source, server)}, connections(t)); d != "" {
		t.Errorf("tracked (-want +got):\n%s", d)
	}
}

func TestForgetStopsWhenItsContextEnds(t *testing.T) {
	namespace(t)
	all := three(t)
	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := DeleteEntries(ctx, func(yield func(source, destination netip.AddrPort) bool) {
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
	left(t, all[1:]...)
}

func TestForgetNamesTheConnectionThatItFailsAt(t *testing.T) {
	namespace(t)
	c := three(t)[0]
	withoutNetAdmin(t)
	err := forget(t.Context(), c)
	want := "delete the conntrack entry from " + c[0].String() + " to " + c[1].String() + ": "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s...", err, want)
	}
}
