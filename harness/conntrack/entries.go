package conntrack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"snatlab/harness/result"
)

// tcpStates are the names of the states in include/uapi/linux/netfilter/nf_conntrack_tcp.h.
var tcpStates = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// LookUpStates returns the states of the entries of connections by their sources.
// protocol is their number in IP headers. Each connection is given by its source and destination before NAT. A
// connection without an entry is left out. The entries are looked up one by one,
// because the table may be the host's, and large.
func LookUpStates(ctx context.Context, protocol uint8, connections iter.Seq2[netip.AddrPort, netip.AddrPort]) (map[netip.AddrPort]string, error) {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("open ctnetlink: %w", err)
	}
	defer conn.Close()
	found := map[netip.AddrPort]string{}
	for source, destination := range connections {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		flow, err := conn.Get(originalFlow(protocol, source, destination))
		switch {
		case err == nil:
			found[source] = stateName(flow)
		case !errors.Is(err, unix.ENOENT):
			return nil, fmt.Errorf("look up the conntrack entry from %v to %v: %w", source, destination, err)
		}
	}
	return found, nil
}

func stateName(f conntrack.Flow) string {
	if tcp := f.ProtoInfo.TCP; tcp != nil && int(tcp.State) < len(tcpStates) {
		return tcpStates[tcp.State]
	}
	switch {
	case f.TupleOrig.Proto.Protocol != unix.IPPROTO_UDP:
		return "UNKNOWN"
	case f.Status.SeenReply():
		return result.EntryReplied
	}
	return result.EntryUnreplied
}
