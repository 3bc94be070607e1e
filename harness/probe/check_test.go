package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// A hello must be of the expected role, and its numbers must be possible on a machine.
func TestCheckHello(t *testing.T) {
	t.Parallel()
	million := make([]int, 1_000_000)
	for i := range million {
		million[i] = i
	}
	for _, test := range []struct {
		hello *Hello
		want  string
	}{
		{&Hello{Role: RoleServer, CPUs: []int{0, 3, 1023}, Files: 1 << 20, Ports: &scenario.PortRange{First: 1, Last: 65535}}, "<nil>"},
		{nil, "is not a snatlab server"},
		{&Hello{Role: RoleClient, CPUs: []int{0}, Files: 1}, "is not a snatlab server"},
		{&Hello{Role: RoleServer, CPUs: million, Files: 1}, "reports 1,000,000 CPUs and 1 file"},
		{&Hello{Role: RoleServer, CPUs: []int{-1}, Files: 1}, "reports CPU -1 as number 1 of its CPUs"},
		{&Hello{Role: RoleServer, CPUs: []int{0, 1024}, Files: 1}, "reports CPU 1024 as number 2 of its CPUs"},
		{&Hello{Role: RoleServer, CPUs: []int{2, 2}, Files: 1}, "reports CPU 2 as number 2 of its CPUs"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1 << 62}, "reports 1 CPU and 4,611,686,018,427,387,904 files"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: -1}, "reports 1 CPU and -1 files"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1, Ports: &scenario.PortRange{First: 9, Last: 3}}, "reports the port range 9 to 3"},
		{&Hello{Role: RoleServer, CPUs: []int{0}, Files: 1, Ports: &scenario.PortRange{First: 0, Last: 3}}, "reports the port range 0 to 3"},
	} {
		if got := fmt.Sprint(test.hello.checkRole(RoleServer)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	if err := (&Hello{Role: RoleClient, CPUs: []int{0}, Files: 1, Ports: &scenario.PortRange{First: 1, Last: 1}}).checkRole(RoleClient); err == nil {
		t.Error("a client has ports to listen on")
	}
}

func TestCheckLocalPorts(t *testing.T) {
	t.Parallel()
	t.Run("local ports are those of a client, and a range", func(t *testing.T) {
		for _, test := range []struct {
			role  string
			ports scenario.PortRange
			want  string
		}{
			{RoleClient, scenario.PortRange{First: 32768, Last: 60999}, "<nil>"},
			{RoleClient, scenario.PortRange{First: 1, Last: 1}, "<nil>"},
			{RoleClient, scenario.PortRange{First: 0, Last: 60999}, "reports a net.ipv4.ip_local_port_range of 0 to 60999"},
			{RoleClient, scenario.PortRange{First: 60999, Last: 32768}, "reports a net.ipv4.ip_local_port_range of 60999 to 32768"},
			{RoleServer, scenario.PortRange{First: 32768, Last: 60999}, "reports a net.ipv4.ip_local_port_range of 32768 to 60999"},
		} {
			hello := &Hello{Role: test.role, CPUs: []int{0}, Files: 1, LocalPorts: &test.ports}
			if got := fmt.Sprint(hello.checkRole(test.role)); got != test.want {
				t.Errorf("%s with %v: %s, want %s", test.role, test.ports, got, test.want)
			}
		}
	})
}

// A report must match its load. Numbers that add up only because their sum overflows are
// refused.
func TestCheckReport(t *testing.T) {
	t.Parallel()
	const huge = math.MaxInt64
	one := func(p uint16) []scenario.PortRange { return []scenario.PortRange{{First: p, Last: p}} }
	fine := func(change func(*Report)) Report {
		r := Report{Outcome: Outcome{Requests: 3, Succeeded: 2, Failures: map[string]int{"timeout": 1}, Latency: [][2]int64{{0, 1}, {SlowestLatency, 1}},
			Ports: []scenario.PortRange{{First: 2048, Last: 2050}}, Silent: one(2049)}, Seconds: 0.1, PeakRSS: 9 << 20, MadeUp: 1, Missed: 1, BindErrors: 1}
		change(&r)
		return r
	}
	many := make([]scenario.PortRange, 65536)
	for i := range many {
		many[i] = scenario.PortRange{First: 1, Last: 65535}
	}
	for _, test := range []struct {
		report Report
		want   string
	}{
		{fine(func(*Report) {}), "<nil>"},
		{fine(func(r *Report) { r.Requests, r.Succeeded = -huge-1, huge }), "report: -9,223,372,036,854,775,808 requests sent, 3 asked for"},
		{fine(func(r *Report) { r.Failures = map[string]int{"reset": huge, "refused": huge, "timeout": 3} }), "report: 9,223,372,036,854,775,807 failures of kind refused"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, huge}, {2, huge}, {3, 4}} }), "report: latency 1 µs, 9,223,372,036,854,775,807 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, 1}, {1, 1}} }), "report: latency 1 µs, 1 time"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{1, 2}, {2, 0}} }), "report: latency 2 µs, 0 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{-1, 2}} }), "report: latency -1 µs, 2 times"},
		{fine(func(r *Report) { r.Latency = [][2]int64{{SlowestLatency + 1, 2}} }), "report: latency 10000001 µs, 2 times"},
		{fine(func(r *Report) { r.Latency = make([][2]int64, 1_000_000) }), "report: latency 0 µs, 0 times"},
		{fine(func(r *Report) { r.Succeeded, r.Failures, r.Latency = -1, map[string]int{"other": 3}, nil }), "report: 3 requests, but -1 succeeded, 3 failed and 0 with a latency"},
		{fine(func(r *Report) { r.Ports = many }), "report: source ports 1 to 65535"},
		{fine(func(r *Report) { r.Ports = []scenario.PortRange{{First: 2048, Last: 2051}} }), "report: 4 source ports for 3 requests"},
		{fine(func(r *Report) { r.Ports = []scenario.PortRange{{First: 9, Last: 8}} }), "report: source ports 9 to 8"},
		{fine(func(r *Report) { r.Ports = []scenario.PortRange{{First: 0, Last: 1}} }), "report: source ports 0 to 1"},
		{fine(func(r *Report) { r.Ports = []scenario.PortRange{{First: 7, Last: 7}, {First: 6, Last: 6}} }), "report: source ports 6 to 6"},
		{fine(func(r *Report) { r.Silent = []scenario.PortRange{{First: 2048, Last: 2049}} }), "report: 2 source ports of 1 timeout"},
		{fine(func(r *Report) { r.Silent = one(2051) }), "report: no answer to source ports 2051 to 2051, which were not all connected from"},
		{fine(func(r *Report) {
			r.Silent, r.Ports = one(2047), []scenario.PortRange{{First: 2, Last: 2}, {First: 2048, Last: 2049}}
		}), "report: no answer to source ports 2047 to 2047, which were not all connected from"},
		{fine(func(r *Report) { r.MadeUp = 1201 }), "report: 1 slot without a port, 1 missed and 1201 made up"},
		{fine(func(r *Report) { r.Missed = -1 }), "report: 1 slot without a port, -1 missed and 1 made up"},
		{fine(func(r *Report) { r.Seconds = -1 }), "report: -1 seconds, 9437184 bytes of memory"},
		{fine(func(r *Report) { r.PeakRSS = 1 << 62 }), "report: 0.1 seconds, 4611686018427387904 bytes of memory"},
	} {
		if got := fmt.Sprint(test.report.CheckAgainst(ClientLoad{Requests: 3})); got != strings.Replace(test.want, "refused", `"refused"`, 1) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// The outcomes of a report must add up to its requests.
func TestCheckReportSums(t *testing.T) {
	t.Parallel()
	load := ClientLoad{Requests: 10}
	for _, test := range []struct {
		report Report
		want   string
	}{
		{Report{Outcome: Outcome{Requests: 10, Succeeded: 9, Failures: map[string]int{"timeout": 1}, Latency: [][2]int64{{30, 9}}}}, ""},
		{Report{Outcome: Outcome{Requests: 9, Succeeded: 9}}, "report: 9 requests sent, 10 asked for"},
		{Report{Outcome: Outcome{Requests: 10, Succeeded: 9, Latency: [][2]int64{{30, 9}}}}, "report: 10 requests, but 9 succeeded, 0 failed and 9 with a latency"},
		{Report{Outcome: Outcome{Requests: 10, Succeeded: 10, Latency: [][2]int64{{30, 9}}}}, "report: 10 requests, but 10 succeeded, 0 failed and 9 with a latency"},
		{Report{Outcome: Outcome{Requests: 10, Failures: map[string]int{"bad luck": 10}}}, `report: 10 failures of kind "bad luck"`},
		{Report{Outcome: Outcome{Requests: 10, Failures: map[string]int{"timeout": 11, "reset": -1}}}, `report: -1 failures of kind "reset"`},
	} {
		err := test.report.CheckAgainst(load)
		if got := fmt.Sprint(err); (err != nil || test.want != "") && got != test.want {
			t.Errorf("%+v: %q, want %q", test.report, got, test.want)
		}
	}
}

// The counts of a server must be in range, and its sources must add up.
func TestCheckServed(t *testing.T) {
	t.Parallel()
	from := func(address string, n uint64) SourceCount { return SourceCount{netip.MustParseAddr(address), n} }
	many := make([]SourceCount, MaxSources+1)
	for i := range many {
		many[i] = SourceCount{netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 1}
	}
	for _, test := range []struct {
		accepted uint64
		sources  []SourceCount
		want     string
	}{
		{3, nil, "<nil>"},
		{3, []SourceCount{from("198.18.1.1", 2), from("198.19.0.1", 1)}, "<nil>"},
		{MaxSources, many[1:], "<nil>"},
		{MaxSources + 1, many, "served: connections from 257 addresses"},
		{3, []SourceCount{from("198.18.1.1", 4)}, `served: 4 of 3 connections from "198.18.1.1"`},
		{3, []SourceCount{from("198.18.1.1", 2), from("198.19.0.1", 2)}, `served: 2 of 3 connections from "198.19.0.1"`},
		{3, []SourceCount{from("198.18.1.1", 2), from("198.18.1.1", 1)}, `served: 1 of 3 connections from "198.18.1.1"`},
		{3, []SourceCount{from("198.18.1.1", 0)}, `served: 0 of 3 connections from "198.18.1.1"`},
		{3, []SourceCount{from("2001:2::1", 2), from("2001:2::2", 1)}, "<nil>"},
		{3, []SourceCount{from("2001:2::2", 1), from("2001:2::1", 1)}, `served: 1 of 3 connections from "2001:2::1"`},
		{3, []SourceCount{from("::ffff:198.18.1.1", 1)}, `served: 1 of 3 connections from "::ffff:198.18.1.1"`},
		{3, []SourceCount{{}}, `served: 0 of 3 connections from "invalid IP"`},
		{3, []SourceCount{from("198.18.1.1", 1<<64-1), from("198.19.0.1", 3)}, `served: 18446744073709551615 of 3 connections from "198.18.1.1"`},
	} {
		served := &Served{Server: result.Server{Accepted: test.accepted}, Sources: test.sources}
		if got := fmt.Sprint(served.checkCounts()); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// An older probe neither sends nor reads a field that is added to result.Server: such a
// field requires another [Version].
func TestServedJSON(t *testing.T) {
	t.Parallel()
	served := Served{Server: result.Server{Accepted: 3, ListenDrops: new(uint64(7))}, Sources: []SourceCount{{netip.MustParseAddr("198.18.0.2"), 3}}}
	got, err := json.Marshal(served)
	want := `{"accepted":3,"strangers":0,"listen_overflows":null,"listen_drops":7,"paws_timewait":null,"tw_recycled":null,` +
		`"retrans_segs":null,"embryonic_rsts":null,"sources":[{"address":"198.18.0.2","accepted":3}]}`
	if err != nil || string(got) != want {
		t.Errorf("%v:\n got %s\nwant %s", err, got, want)
	}
	served.ControlAccepted = maxCount + 1
	if got := fmt.Sprint(served.checkCounts()); got != "served: control_accepted is 1099511627777" {
		t.Error(got)
	}
}
