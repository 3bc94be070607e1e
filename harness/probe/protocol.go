// Package probe is the protocol to the programs that run inside the clients and the
// server of a lab, the probes, and the controller's side of it: [ClientSession] and [ServerSession].
//
// A probe is the same static binary as the tool. It reads requests from its
// standard input and answers on its standard output, one JSON object a line:
//
//	probe:      {"v":3,"hello":{"role":"client","cpus":[0,1],"files":20000}}
//	controller: {"v":3,"run":{"server":"198.18.1.2:20001","pattern":"lockstep",...}}
//	probe:      {"v":3,"report":{"requests":3000,"succeeded":2641,...}}
//
// When its input ends, a probe ends: it does not outlive the controller.
// The server's probe can be driven over a TCP connection in the same words;
// that is `snatlab serve`. Since anyone may connect there, a server is greeted
// first. Neither side trusts the other: lines are bounded, and each side checks a
// message before it uses it.
//
// Package agent is the probe's side. It sends requests with package load, and
// accepts connections with package server.
package probe

import (
	"net/netip"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Version is that of the protocol. Both sides are the same program; a
// difference means an old image or an old `snatlab serve`.
const Version = 3

// Bounds of one message in bytes. The largest answer is a report with every
// other one of 30,000 source ports listed by itself; mostly it is a few KiB.
const (
	maxAnswer = 2 << 20
	MaxOrder  = 4 << 10
)

// Message is one line in either direction. One of its parts is set: see ParseMessage.
type Message struct {
	V int `json:"v"`

	// from the controller
	Greet  *Greet      `json:"greet,omitempty"`
	Share  *Share      `json:"share,omitempty"`
	Run    *ClientLoad `json:"run,omitempty"`
	Listen *Listen     `json:"listen,omitempty"`
	Finish *Finish     `json:"finish,omitempty"`

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
	Role  string              `json:"role"`            // RoleClient or RoleServer
	CPUs  []int               `json:"cpus"`            // that it may run on
	Files int                 `json:"files"`           // open files that it may have, soft limit raised
	Ports *scenario.PortRange `json:"ports,omitempty"` // that a server may listen on, if not all

	// LocalPorts is net.ipv4.ip_local_port_range where a client runs: the source
	// ports that its kernel chooses from. It is nil if it could not be read.
	LocalPorts *scenario.PortRange `json:"local_ports,omitempty"`
}

// The roles of a probe.
const (
	RoleClient = "client"
	RoleServer = "server"
)

// CountPorts counts the ports in ranges.
func CountPorts(ranges []scenario.PortRange) (n int) {
	for _, p := range ranges {
		n += p.Len()
	}
	return n
}

// Greet is the first order of a controller to a server, which may be on another
// machine: a peer that does not greet is no controller. Later ones keep the
// server from taking a run for dead whose clients are sending.
type Greet struct{}

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

// Ready answers Greet and Listen.
type Ready struct{}

// Finish closes the server port.
type Finish struct{}

// Served answers Finish: what the server saw since Listen. Strangers are reset.
type Served struct {
	result.Server

	// Sources are the addresses that the accepted connections came from, in
	// ascending order, and no more than MaxSources of them.
	Sources []SourceCount `json:"sources,omitempty"`
}

// SourceCount is an address that connections came from.
type SourceCount struct {
	Address  netip.Addr `json:"address"`
	Accepted uint64     `json:"accepted"`
}

// ClientLoad is what one client sends in one trial.
type ClientLoad struct {
	Server      netip.AddrPort `json:"server"`
	Requests    int            `json:"requests"`
	Timeout     time.Duration  `json:"timeout"`               // ns
	Rate        int            `json:"rate"`                  // a second; 0 is as fast as it goes
	Concurrency int            `json:"concurrency,omitempty"` // ephemeral: requests in flight at once
	Lockstep    *LockstepPart  `json:"lockstep,omitempty"`    // nil: ephemeral
	Explain     bool           `json:"explain,omitempty"`     // say which requests got no answer
}

// LockstepPart is what a client has to know to fire in step with the others.
type LockstepPart struct {
	Client  int                `json:"client"`  // this one's index, from 0
	Clients int                `json:"clients"` // of the lab
	CPUs    int                `json:"cpus"`    // clients that fire in one slot, at most
	Ports   scenario.PortRange `json:"ports"`   // source ports: slot k leaves from the k-th of them
	Own     bool               `json:"own"`     // Ports are this client's own, taken one after another; the slot does not say which
	Barrier string             `json:"barrier"` // file that all clients can map; empty: keep step by the clock
	Epoch   uint64             `json:"epoch"`   // number of the trial, growing
	Start   int64              `json:"start"`   // clock: CLOCK_MONOTONIC of slot 0 in ns
}

// Report is what came of a load: Requests = Succeeded + the sum of Failures.
type Report struct {
	Requests  int                  `json:"requests"`
	Succeeded int                  `json:"succeeded"`
	Ports     []scenario.PortRange `json:"ports"`    // source ports that were connected from
	Failures  map[string]int       `json:"failures"` // by kind, as in package result
	Silent    []scenario.PortRange `json:"silent"`   // source ports of the timeouts, if they were asked for
	Latency   [][2]int64           `json:"latency"`  // of those that succeeded: value in µs, how many
	Seconds   float64              `json:"seconds"`
	PeakRSS   uint64               `json:"peak_rss"` // bytes

	BindErrors int `json:"bind_errors"`
	Missed     int `json:"missed"`
	MadeUp     int `json:"made_up"`
}
