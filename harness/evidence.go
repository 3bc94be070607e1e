package harness

import (
	"cmp"
	"context"
	"net/netip"

	"snatlab/harness/causes"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// maxSamples is the number of requests of a trial that are recorded one by one.
const maxSamples = 5

// countGone counts the unanswered requests of the arm and of the control that have no
// entry in the conntrack table.
func (x *experiment) countGone(ctx context.Context, server netip.AddrPort, reports []*probe.Report, c *causes.Circumstances) error {
	var own, controls [][]scenario.PortRange
	for _, r := range reports {
		own, controls = append(own, r.Silent), append(controls, r.Control.Silent)
	}
	for _, of := range []struct {
		server netip.AddrPort
		silent [][]scenario.PortRange
		gone   *int
	}{{server, own, &c.Gone.Arm}, {x.control.server, controls, &c.Gone.Control}} {
		entries, err := x.lab.Entries(ctx, of.server, of.silent)
		if err != nil {
			return err
		}
		for client, ranges := range of.silent {
			for _, r := range ranges {
				for port := int(r.First); port <= int(r.Last); port++ {
					if entries[client][uint16(port)] == "" {
						*of.gone++
					}
				}
			}
		}
	}
	return nil
}

// lookUp looks up the conntrack entry of each request that got no answer. A request
// that was dropped at the insertion of its entry has none, and was counted among the
// insertions that failed. A request that passed NAT has an entry, and was lost
// later.
func (x *experiment) lookUp(ctx context.Context, server netip.AddrPort, reports []*probe.Report, insertions uint64) (*result.Evidence, error) {
	var silent [][]scenario.PortRange
	for _, r := range reports {
		silent = append(silent, r.Silent)
	}
	entries, err := x.lab.Entries(ctx, server, silent)
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
					e.Gone++
				case result.EntrySYNSent, result.EntryUnreplied:
					e.Passed++
				default:
					e.Other++
				}
				if len(e.Sample) < maxSamples {
					e.Sample = append(e.Sample, result.Sample{Client: client, Port: port, Entry: cmp.Or(state, result.EntryNone)})
				}
			}
		}
	}
	e.Dropped = int(min(uint64(e.Gone), insertions))
	e.Gone -= e.Dropped
	return e, nil
}
