package departures

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// leaving returns the report of a client that connected from a range of ports.
func leaving(first, last uint16) *probe.Report {
	return &probe.Report{Outcome: probe.Outcome{Ports: []scenario.PortRange{{First: first, Last: last}}}}
}

// A connection kept its port if some client had connected from the port that the server
// saw in that trial. Ports are counted by range and by block, over trials.
func TestRecordSourcePorts(t *testing.T) {
	t.Parallel()
	var arm result.Arm
	two := []*probe.Report{leaving(32768, 32770), leaving(32770, 32771)} // both from 32770
	recordSourcePorts(&arm, Trial{two, &probe.Served{Ports: probe.PortCounts{{1000, 1000, 1}, {32767, 32768, 1}, {32770, 32770, 2}, {61000, 61001, 1}}}})
	recordSourcePorts(&arm, Trial{[]*probe.Report{leaving(60999, 61000)}, &probe.Served{Ports: probe.PortCounts{{32768, 32768, 1}, {60999, 61000, 1}}}})
	recordSourcePorts(&arm, Trial{two, &probe.Served{}}) // by a server that counts no ports
	block := func(first, last, connections, kept int) result.PortBlock {
		return result.PortBlock{Ports: result.Ports{First: first, Last: last}, Connections: connections, Kept: kept}
	}
	want := &result.SourcePorts{
		Connections: 10, Kept: 5,
		Ranges: []result.PortBlock{block(0, 1023, 1, 0), block(1024, 32767, 1, 0), block(32768, 60999, 5, 4), block(61000, 65535, 3, 1)},
		Blocks: []result.PortBlock{block(0, 1023, 1, 0), block(31744, 32767, 1, 0), block(32768, 33791, 4, 3), block(60416, 60999, 1, 1), block(61000, 61439, 3, 1)},
	}
	if d := cmp.Diff(want, arm.SourcePorts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if arm.ControlSourcePorts != nil {
		t.Errorf("without a control: %+v", arm.ControlSourcePorts)
	}
}

// The ports of a control are counted apart, and held against those of its own clients.
func TestRecordControlSourcePorts(t *testing.T) {
	t.Parallel()
	r := leaving(40000, 40000)
	r.Control = &probe.Outcome{Ports: []scenario.PortRange{{First: 50000, Last: 50000}}}
	var arm result.Arm
	recordSourcePorts(&arm, Trial{[]*probe.Report{r}, &probe.Served{Ports: probe.PortCounts{{50000, 50000, 1}}, ControlPorts: probe.PortCounts{{50000, 50000, 1}}}})
	if own, control := arm.SourcePorts, arm.ControlSourcePorts; own.Kept != 0 || own.Connections != 1 || control.Kept != 1 || control.Connections != 1 {
		t.Errorf("%+v, control %+v", own, control)
	}
}

// However the ports are spread, there are as many blocks as their bound says at most.
func TestSourcePortBlocks(t *testing.T) {
	t.Parallel()
	var arm result.Arm
	recordSourcePorts(&arm, Trial{Served: &probe.Served{Ports: probe.PortCounts{{0, 65535, 1}}}})
	next, sum := 0, 0
	for _, b := range arm.SourcePorts.Blocks {
		if b.First != next || b.Last < b.First || b.Connections != b.Last-b.First+1 {
			t.Errorf("block %+v after port %d", b, next-1)
		}
		next, sum = b.Last+1, sum+b.Connections
	}
	if n := len(arm.SourcePorts.Blocks); n != 65 || sum != 65536 {
		t.Errorf("%d blocks of %d ports", n, sum)
	}
}
