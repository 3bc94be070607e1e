package departures

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

func TestRecordSources(t *testing.T) {
	t.Parallel()
	from := func(last byte, n uint64) probe.SourceCount {
		return probe.SourceCount{Address: netip.AddrFrom4([4]byte{198, 19, 0, last}), Accepted: n}
	}
	t.Run("adds up over trials, in order", func(t *testing.T) {
		var arm result.Arm
		recordSources(&arm, &probe.Served{Sources: []probe.SourceCount{from(10, 5), from(30, 1)}})
		recordSources(&arm, &probe.Served{})
		recordSources(&arm, &probe.Served{Sources: []probe.SourceCount{from(9, 2), from(10, 7), from(100, 4)}})
		want := []result.Source{{Address: "198.19.0.9", Connections: 2}, {Address: "198.19.0.10", Connections: 12}, {Address: "198.19.0.30", Connections: 1}, {Address: "198.19.0.100", Connections: 4}}
		if d := cmp.Diff(want, arm.Sources); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
	t.Run("is bounded", func(t *testing.T) {
		var arm result.Arm
		for i := range 2 * maxSources {
			recordSources(&arm, &probe.Served{Sources: []probe.SourceCount{{Address: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), Accepted: 1}}})
		}
		if len(arm.Sources) != maxSources {
			t.Errorf("%d addresses", len(arm.Sources))
		}
	})
}

func TestRecordPorts(t *testing.T) {
	t.Parallel()
	var arm result.Arm
	recordPorts(&arm, []*probe.Report{{}})
	if arm.ClientPorts != nil {
		t.Errorf("of no connection: %v", arm.ClientPorts)
	}
	recordPorts(&arm, []*probe.Report{{Outcome: probe.Outcome{Ports: []scenario.PortRange{{First: 40000, Last: 40001}, {First: 40009, Last: 40009}}}}, {Outcome: probe.Outcome{Ports: []scenario.PortRange{{First: 39999, Last: 40005}}}}})
	recordPorts(&arm, []*probe.Report{{Outcome: probe.Outcome{Ports: []scenario.PortRange{{First: 40001, Last: 40001}}}}})
	if want := (result.Ports{First: 39999, Last: 40009}); *arm.ClientPorts != want {
		t.Errorf("%v, want %v", *arm.ClientPorts, want)
	}
}
