package load

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/query"
	"snatlab/harness/probe/server"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// lookupsTo returns a load of look-ups in lockstep with nobody, with as many of a control.
func lookupsTo(t *testing.T, arm, control netip.AddrPort, requests int, of probe.LookupPart) probe.ClientLoad {
	of.Reopened = scenario.PortRange{First: 16_000, Last: 19_999}
	return probe.ClientLoad{Server: arm, Protocol: result.UDP, Requests: requests, Timeout: 300 * time.Millisecond, Explain: true, Lookups: &of, Lockstep: &probe.LockstepPart{
		Client: 3, Clients: 4, CPUs: 1, Ports: scenario.PortRange{First: 10_000, Last: 12_999},
		Barrier: filepath.Join(t.TempDir(), "barrier"), Epoch: 1,
		Control: &probe.ControlPart{Server: control, Every: 1, Ports: scenario.PortRange{First: 13_000, Last: 15_999}},
	}}
}

// sendAlone sends a load of a client without partners: the schedule gives it every slot.
func sendAlone(t *testing.T, load probe.ClientLoad) *probe.Report {
	t.Helper()
	load.Lockstep.Client, load.Lockstep.Clients = 0, 1
	cpus, err := allowed()
	if err != nil {
		t.Fatal(err)
	}
	if load.Lookups.Threads > len(cpus) {
		t.Skip("needs 2 CPUs")
	}
	report, err := Send(t.Context(), load, cpus, 1024, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.CheckAgainst(load); err != nil {
		t.Fatal(err)
	}
	return report
}

func allowed() (cpus []int, err error) {
	var set unix.CPUSet
	err = unix.SchedGetaffinity(0, &set)
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, err
}

// Each look-up of the arm and of the control is answered, whatever the resolver does, from
// one thread and from two. A source is one connection to the server.
func TestLookups(t *testing.T) {
	const requests = 300
	for _, test := range []struct {
		of          probe.LookupPart
		connections uint64 // of the arm
	}{
		{probe.LookupPart{Threads: 1}, requests},
		{probe.LookupPart{Threads: 2}, requests},
		{probe.LookupPart{Threads: 1, Resolver: result.SingleRequest}, requests},
		{probe.LookupPart{Threads: 1, Resolver: result.SingleRequestReopen}, 2 * requests},
		{probe.LookupPart{Threads: 1, Resolver: result.UseVC}, requests},
		{probe.LookupPart{Threads: 2, Resolver: result.UseVC}, requests},
	} {
		for family, at := range loopbacks {
			t.Run(fmt.Sprintf("%s from %d, %s", test.of.Resolver, test.of.Threads, family), func(t *testing.T) {
				arm, control := netip.AddrPortFrom(at, 39051), netip.AddrPortFrom(at, 39052)
				l, err := server.OpenListener(server.Config{Protocol: result.UDP, DNS: true, Address: arm, Control: control.Port(), Guests: guest(at), Files: 1024})
				if err != nil {
					t.Fatal(err)
				}
				r := sendAlone(t, lookupsTo(t, arm, control, requests, test.of))
				served, err := l.Finish()
				if r.Succeeded != requests || r.Control.Succeeded != requests || *r.Unanswered != (result.Unanswered{}) || r.Datagrams.Foreign != 0 {
					t.Errorf("%+v, control %+v", r, r.Control)
				}
				if ports := probe.CountPorts(r.Ports); err != nil || served.Accepted != uint64(ports) || served.ControlAccepted != requests || served.Malformed != 0 ||
					uint64(ports) > test.connections || ports <= requests && test.connections > requests {
					t.Errorf("%d source ports; served %+v, %v", ports, served, err)
				}
			})
		}
	}
}

// A look-up without an answer is counted by the queries that have none. Answers that are cut,
// or come again, or are those of others, count as none.
func TestUnansweredLookups(t *testing.T) {
	const requests = 20
	for _, test := range []struct {
		resolver string
		answer   func(query, answer []byte, isA bool) [][]byte
		want     result.Unanswered
		foreign  int // of the arm and the control
	}{
		{"", func(_, answer []byte, isA bool) [][]byte { return nil }, result.Unanswered{Both: requests}, 0},
		{"", func(_, answer []byte, isA bool) [][]byte { return only(isA, answer) }, result.Unanswered{AAAA: requests}, 0},
		{"", func(_, answer []byte, isA bool) [][]byte { return only(!isA, answer) }, result.Unanswered{A: requests}, 0},
		{"", func(_, answer []byte, isA bool) [][]byte { return only(isA, answer, answer) }, result.Unanswered{AAAA: requests}, 2 * requests},
		{"", func(_, answer []byte, isA bool) [][]byte { return only(isA, answer[:len(answer)-1]) }, result.Unanswered{Both: requests}, 2 * requests},
		{"", func(query, _ []byte, isA bool) [][]byte { return only(isA, query) }, result.Unanswered{Both: requests}, 2 * requests},
		{"", func(_, answer []byte, isA bool) [][]byte { return only(isA, append(answer, make([]byte, 500)...)) }, result.Unanswered{Both: requests}, 2 * requests},
		{result.SingleRequest, func(_, answer []byte, isA bool) [][]byte { return only(!isA, answer) }, result.Unanswered{A: requests}, 0},
		{result.SingleRequest, func(_, answer []byte, isA bool) [][]byte { return only(isA, answer) }, result.Unanswered{AAAA: requests}, 0},
		{result.SingleRequestReopen, func(_, answer []byte, isA bool) [][]byte { return only(isA, answer) }, result.Unanswered{AAAA: requests}, 0},
	} {
		at := startDatagramServer(t, loopbacks["IPv4"], func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) {
			const typeA = 1
			for _, answer := range test.answer(datagram, query.Answer(datagram), datagram[len(datagram)-3] == typeA) {
				conn.WriteToUDPAddrPort(answer, to)
			}
		})
		load := lookupsTo(t, at, at, requests, probe.LookupPart{Threads: 1, Resolver: test.resolver})
		r := sendAlone(t, load)
		foreign := r.Datagrams.Foreign
		if test.resolver != "" { // its control sends both queries at once
			foreign = 0
		}
		if r.Succeeded != 0 || *r.Unanswered != test.want || foreign != test.foreign {
			t.Errorf("resolver %q: %+v without an answer, %d foreign; want %+v and %d", test.resolver, *r.Unanswered, foreign, test.want, test.foreign)
		}
	}
}

// only returns the datagrams if send is set.
func only(send bool, datagrams ...[]byte) [][]byte {
	if !send {
		return nil
	}
	return datagrams
}
