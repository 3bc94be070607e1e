package conntrack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// DeleteEntries deletes the entries of TCP connections, each given by the source and
// destination that it set out with, before NAT. A connection without an entry
// is passed over. There is no other way to tell one's own entries from those
// of others, and nothing here ever flushes.
func DeleteEntries(ctx context.Context, connections iter.Seq2[netip.AddrPort, netip.AddrPort]) error {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return fmt.Errorf("open ctnetlink: %w", err)
	}
	defer conn.Close()
	for source, destination := range connections {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := conn.Delete(originalFlow(source, destination)); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("delete the conntrack entry from %v to %v: %w", source, destination, err)
		}
	}
	return nil
}

// originalFlow is what the kernel looks an entry up by.
func originalFlow(source, destination netip.AddrPort) conntrack.Flow {
	return conntrack.NewFlow(unix.IPPROTO_TCP, 0, source.Addr(), destination.Addr(), source.Port(), destination.Port(), 0, 0)
}
