package conntrack

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// tcpStates are those of an entry, include/uapi/linux/netfilter/nf_conntrack_tcp.h.
var tcpStates = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"}

// Entries gives the states of the entries of TCP connections to a destination,
// by the source that they set out with, before NAT.
func Entries(ctx context.Context, destination netip.AddrPort) (map[netip.AddrPort]string, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("open ctnetlink: %w", err)
	}
	defer conn.Close()
	flows, err := conn.Dump(nil)
	if err != nil {
		return nil, fmt.Errorf("list conntrack entries: %w", err)
	}
	found := map[netip.AddrPort]string{}
	for _, f := range flows {
		to := f.TupleOrig
		if to.Proto.Protocol == unix.IPPROTO_TCP && destination == netip.AddrPortFrom(to.IP.DestinationAddress, to.Proto.DestinationPort) {
			found[netip.AddrPortFrom(to.IP.SourceAddress, to.Proto.SourcePort)] = stateOf(f)
		}
	}
	return found, nil
}

func stateOf(f conntrack.Flow) string {
	if tcp := f.ProtoInfo.TCP; tcp != nil && int(tcp.State) < len(tcpStates) {
		return tcpStates[tcp.State]
	}
	return "UNKNOWN"
}
