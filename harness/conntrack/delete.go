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

// DeleteEntries deletes the entries of TCP connections. Each connection is given
// by its source and destination before NAT; nothing else distinguishes snatlab's
// entries from those of other programs. A connection without an entry is skipped.
// The table is never flushed.
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

// originalFlow returns the flow by which the kernel looks an entry up.
func originalFlow(source, destination netip.AddrPort) conntrack.Flow {
	return conntrack.NewFlow(unix.IPPROTO_TCP, 0, source.Addr(), destination.Addr(), source.Port(), destination.Port(), 0, 0)
}
