package labtest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// checkFilter checks that each request from a port that the server does not accept has no
// answer and is counted, that of the arm and that of the control apart, and that all others
// are answered.
func checkFilter(t *testing.T, d Driver) {
	accept := scenario.PortRange{First: 40_000, Last: 49_999}
	l, err := d.OpenFiltered(t.Context(), accept)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if got := l.Environment().AcceptSourcePorts; got == nil || got.First != int(accept.First) || got.Last != int(accept.Last) {
		t.Errorf("the environment has the ports %v", got)
	}
	if err := l.InsertControl(t.Context(), controlPorts); err != nil {
		t.Fatal(err)
	}
	for trial, swapped := range []bool{false, true, false} {
		at, err := l.Listen(t.Context(), trial, swapped)
		if err != nil {
			t.Fatal(err)
		}
		sendFrom(t, l, d.Protocol, at.Arm, accept, 7, 0)
		sendFrom(t, l, d.Protocol, at.Arm, scenario.PortRange{First: 39_990, Last: 40_002}, 13, 10)
		sendFrom(t, l, d.Protocol, at.Control, scenario.PortRange{First: 49_997, Last: 50_001}, 5, 2)
		served, err := l.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f := served.Filtered; f == nil || *f != (probe.Filtered{Arm: 10, Control: 2}) {
			t.Errorf("swapped %v: of 10 and 2 requests the filter dropped %+v", swapped, f)
		}
		if served.Accepted != 10 || served.ControlAccepted != 3 {
			t.Errorf("swapped %v: %d requests reached the server, and %d of the control", swapped, served.Accepted, served.ControlAccepted)
		}
	}
}

// sendFrom sends one request of the client from each of the first ports of a range, and
// checks how many had no answer. Their entries are deleted.
func sendFrom(t *testing.T, l lab.Lab, protocol string, server netip.AddrPort, ports scenario.PortRange, requests, lost int) {
	t.Helper()
	report, err := l.Clients()[0].Run(t.Context(), probe.ClientLoad{
		Protocol: protocol, Server: server, Requests: requests, Timeout: 300 * time.Millisecond,
		Lockstep: &probe.LockstepPart{Clients: 1, CPUs: 1, Ports: ports},
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failures[result.Timeout] != lost || report.Succeeded != requests-lost {
		t.Errorf("of %d requests from %v, %d succeeded, and %v", requests, ports, report.Succeeded, report.Failures)
	}
	if err := l.Forget(t.Context(), server, [][]scenario.PortRange{report.Ports}); err != nil {
		t.Fatal(err)
	}
}
