package harness

import (
	"net/netip"
	"slices"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// departures are the ports that the connections of a trial left from and their
// latencies, which the clients report, and the addresses, which the server saw. They are
// recorded with the arm, and only if the trial is kept.
type departures struct {
	reports []*probe.Report
	served  *probe.Served
}

func (d departures) recordIn(into *result.Arm) {
	recordPorts(into, d.reports)
	recordSources(into, d.served)
	recordLatencies(into, d.reports)
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
