// Package probe is the load engine: the program that runs inside the clients
// and the server of a lab, and the controller's side of the talk with it.
//
// A probe is the same static binary as the tool. It reads requests from its
// standard input and answers on its standard output, one JSON object a line:
//
//	probe:      {"v":1,"hello":{"role":"client","cpus":[0,1],"files":20000}}
//	controller: {"v":1,"run":{"server":"198.18.1.2:20001","pattern":"lockstep",...}}
//	probe:      {"v":1,"report":{"requests":3000,"succeeded":2641,...}}
//
// When its input ends, a probe ends: it does not outlive the controller.
// The server's probe can be driven over a TCP connection in the same words;
// that is `snatlab serve`.
//
// [Client] and [Server] are the controller's side, [Agent] is the probe's.
package probe

import (
	"fmt"
	"net/netip"
	"time"

	"snatlab/harness/result"
)

// Version is that of the protocol. Both sides are the same program; a
// difference means an old image or an old `snatlab serve`.
const Version = 1

// maxLine bounds one message in bytes. The largest is a report with every other
// one of 30,000 source ports listed by itself; mostly it is a few KiB.
const maxLine = 2 << 20

// message is one line in either direction. One of the pointers is set.
type message struct {
	V int `json:"v"`

	// from the controller
	Share  *Share  `json:"share,omitempty"`
	Run    *Load   `json:"run,omitempty"`
	Listen *Listen `json:"listen,omitempty"`
	Finish *Finish `json:"finish,omitempty"`

	// from the probe
	Hello  *Hello  `json:"hello,omitempty"`
	Shared *Shared `json:"shared,omitempty"`
	Report *Report `json:"report,omitempty"`
	Ready  *Ready  `json:"ready,omitempty"`
	Served *Served `json:"served,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Hello is the first thing that a probe says.
type Hello struct {
	Role  string `json:"role"`            // RoleClient or RoleServer
	CPUs  []int  `json:"cpus"`            // that it may run on
	Files int    `json:"files"`           // open files that it may have, soft limit raised
	Ports *Ports `json:"ports,omitempty"` // that a server may listen on, if not all
}

// The roles of a probe.
const (
	RoleClient = "client"
	RoleServer = "server"
)

// Ports is a range of ports, both ends included.
type Ports struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// Share asks whether a client can map the file that clients are to meet in.
type Share struct {
	Barrier string `json:"barrier"`
}

// Shared answers Share.
type Shared struct{}

// Listen opens a server port.
type Listen struct {
	Port uint16 `json:"port"`
}

// Ready answers Listen.
type Ready struct{}

// Finish closes the server port.
type Finish struct{}

// Served answers Finish: what the server saw since Listen. The counters are
// those of its network namespace, TcpExt of /proc/net/netstat but for one, nil
// where the kernel has none of the name.
type Served struct {
	Accepted        uint64  `json:"accepted"`
	ListenOverflows *uint64 `json:"listen_overflows"`
	ListenDrops     *uint64 `json:"listen_drops"`
	PAWSTimewait    *uint64 `json:"paws_timewait"`
	TWRecycled      *uint64 `json:"tw_recycled"`
	RetransSegs     *uint64 `json:"retrans_segs"` // Tcp, /proc/net/snmp
	EmbryonicRsts   *uint64 `json:"embryonic_rsts"`
}

// Load is what one client sends in one trial.
type Load struct {
	Server      netip.AddrPort `json:"server"`
	Requests    int            `json:"requests"`
	Timeout     time.Duration  `json:"timeout"`               // ns
	Rate        int            `json:"rate"`                  // a second; 0 is as fast as it goes
	Concurrency int            `json:"concurrency,omitempty"` // ephemeral: requests in flight at once
	Lockstep    *Lockstep      `json:"lockstep,omitempty"`    // nil: ephemeral
	Explain     bool           `json:"explain,omitempty"`     // say which requests got no answer
}

// Lockstep is what a client has to know to fire in step with the others.
type Lockstep struct {
	Client   int    `json:"client"`    // this one's index, from 0
	Clients  int    `json:"clients"`   // of the lab
	CPUs     int    `json:"cpus"`      // clients that fire in one slot, at most
	BasePort uint16 `json:"base_port"` // source port of slot 0
	OwnPorts int    `json:"own_ports"` // so many from there on are this client's own, taken one after another; 0: the slot says which
	Barrier  string `json:"barrier"`   // file that all clients can map; empty: keep step by the clock
	Epoch    uint64 `json:"epoch"`     // number of the trial, growing
	Start    int64  `json:"start"`     // clock: CLOCK_MONOTONIC of slot 0 in ns
}

// Report is what came of a load: Requests = Succeeded + the sum of Failures.
type Report struct {
	Requests  int            `json:"requests"`
	Succeeded int            `json:"succeeded"`
	Ports     []Ports        `json:"ports"`    // source ports that were connected from
	Failures  map[string]int `json:"failures"` // by kind, as in package result
	Silent    []Ports        `json:"silent"`   // source ports of the timeouts, if they were asked for
	Latency   [][2]int64     `json:"latency"`  // of those that succeeded: value in µs, how many
	Seconds   float64        `json:"seconds"`
	PeakRSS   uint64         `json:"peak_rss"` // bytes

	BindErrors int `json:"bind_errors"`
	Missed     int `json:"missed"`
	MadeUp     int `json:"made_up"`
}

// check holds a report against the load it answers. A probe is not trusted:
// what it says is used only if it adds up.
func (r *Report) check(load Load) error {
	failed := 0
	for kind, n := range r.Failures {
		if !knownKind(kind) || n < 0 {
			return fmt.Errorf("report: %d failures of kind %q", n, kind)
		}
		failed += n
	}
	measured := int64(0)
	for _, v := range r.Latency {
		if v[0] < 0 || v[1] < 0 {
			return fmt.Errorf("report: latency %d µs, %d times", v[0], v[1])
		}
		measured += v[1]
	}
	ports, err := count(r.Ports)
	if err != nil {
		return err
	}
	silent, err := count(r.Silent)
	if err != nil {
		return err
	}
	switch {
	case ports > r.Requests:
		return fmt.Errorf("report: %d source ports for %d requests", ports, r.Requests)
	case silent > r.Failures[result.Timeout]:
		return fmt.Errorf("report: %d source ports of %d timeouts", silent, r.Failures[result.Timeout])
	case r.Requests != load.Requests:
		return fmt.Errorf("report: %d requests were sent, %d were asked for", r.Requests, load.Requests)
	case r.Succeeded < 0, r.Succeeded+failed != r.Requests, measured != int64(r.Succeeded):
		return fmt.Errorf("report: %d requests, but %d succeeded, %d failed and %d have a latency",
			r.Requests, r.Succeeded, failed, measured)
	case r.BindErrors < 0, r.Missed < 0, r.MadeUp < 0:
		return fmt.Errorf("report: negative count of slots")
	}
	return nil
}

// count counts the ports in ranges.
func count(ranges []Ports) (n int, err error) {
	for _, p := range ranges {
		if p.First > p.Last {
			return 0, fmt.Errorf("report: source ports %d to %d", p.First, p.Last)
		}
		n += int(p.Last-p.First) + 1
	}
	return n, nil
}
