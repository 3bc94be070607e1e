package harness

import (
	"cmp"
	"context"
	"net/netip"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// sampled is the number of requests of a trial that are told one by one.
const sampled = 5

// lookUp says what the conntrack table has of each request that got no answer.
// One that was dropped when its entry was to be inserted has none; one that got
// through NAT has one, and was lost later.
func (x *experiment) lookUp(ctx context.Context, server netip.AddrPort, reports []*probe.Report) (*result.Evidence, error) {
	entries, err := x.lab.Entries(ctx, server)
	if err != nil {
		return nil, err
	}
	e := &result.Evidence{Sample: []result.Sample{}}
	for client, report := range reports {
		for _, r := range report.Silent {
			for port := int(r.First); port <= int(r.Last); port++ {
				e.Looked++
				state := entries[client][uint16(port)]
				switch state {
				case "":
					e.Dropped++
				case "SYN_SENT":
					e.Passed++
				default:
					e.Other++
				}
				if len(e.Sample) < sampled {
					e.Sample = append(e.Sample, result.Sample{Client: client, Port: port, Entry: cmp.Or(state, "none")})
				}
			}
		}
	}
	return e, nil
}
