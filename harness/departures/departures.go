// Package departures records where the connections of an arm left from: the ports of its
// clients, as they report them, and the addresses and ports after NAT, which the server saw.
package departures

import (
	"net/netip"
	"slices"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// Trial is what the clients report of a trial, and what the server saw of it.
type Trial struct {
	Reports []*probe.Report
	Served  *probe.Served
}

// RecordIn adds the departures of a trial to those of its arm, with the latencies.
func (t Trial) RecordIn(into *result.Arm) {
	recordPorts(into, t.Reports)
	recordSources(into, t.Served)
	recordSourcePorts(into, t)
	recordLatencies(into, t.Reports)
}

// recordPorts extends the range of ports that an arm's clients left from.
func recordPorts(into *result.Arm, reports []*probe.Report) {
	for _, r := range reports {
		for _, p := range r.Ports {
			if into.ClientPorts == nil {
				into.ClientPorts = &result.Ports{First: int(p.First), Last: int(p.Last)}
			}
			into.ClientPorts.First = min(into.ClientPorts.First, int(p.First))
			into.ClientPorts.Last = max(into.ClientPorts.Last, int(p.Last))
		}
	}
}

// recordLatencies adds the latencies of a trial to those of its arm and of its control.
func recordLatencies(into *result.Arm, reports []*probe.Report) {
	var arm, control result.Histogram
	for _, r := range reports {
		arm = append(arm, r.Outcome.Histogram()...)
		if r.Control != nil {
			control = append(control, r.Control.Histogram()...)
		}
	}
	into.Latencies, into.ControlLatencies = into.Latencies.Merge(arm), into.ControlLatencies.Merge(control)
}

// maxSources bounds the addresses by which an arm's connections are counted. A
// scenario cannot ask for so many.
const maxSources = 256

// recordSources adds the addresses that a trial's connections came from to those
// of its arm.
func recordSources(into *result.Arm, served *probe.Served) {
	for _, from := range served.Sources {
		at, known := slices.BinarySearchFunc(into.Sources, from.Address, func(s result.Source, a netip.Addr) int {
			return netip.MustParseAddr(s.Address).Compare(a) // we wrote it
		})
		switch {
		case known:
			into.Sources[at].Connections += int(from.Accepted)
		case len(into.Sources) < maxSources:
			into.Sources = slices.Insert(into.Sources, at, result.Source{Address: from.Address.String(), Connections: int(from.Accepted)})
		}
	}
}
