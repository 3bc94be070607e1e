// Package probe is the protocol between the controller and the probes, which are the
// programs that run inside the clients and the server of a lab. [ClientSession] and
// [ServerSession] are the controller's side.
//
// A probe is the same static binary as the tool. It reads requests from its
// standard input and answers on its standard output, one JSON object a line:
//
//	probe:      {"v":7,"hello":{"role":"client","cpus":[0,1],"files":20000}}
//	controller: {"v":7,"run":{"server":"198.18.1.2:20001","pattern":"lockstep",...}}
//	probe:      {"v":7,"report":{"requests":3000,"succeeded":2641,...}}
//
// When its input ends, a probe exits: it does not outlive the controller.
// `snatlab serve` is a server's probe that is driven over TCP by the same messages.
// Anyone may connect there, so a controller greets a server first. Neither side
// trusts the other: lines are bounded, and each side checks a message before it
// uses it.
//
// Package agent is the probe's side. It sends requests with package load, and
// accepts connections with package server.
package probe

import (
	"encoding/json"
	"net/netip"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Version is the version of the protocol. Both sides are the same program: a
// different version is that of an old image or of an old `snatlab serve`.
const Version = 7

// MaxOrder and maxAnswer bound one message, in bytes. The largest answers list each of
// some 30,000 source ports by itself: a report of every other one, and what a server saw
// of a rule that draws. Most answers have a few KiB.
const (
	maxAnswer = 2 << 20
	MaxOrder  = 4 << 10
)

// Message is one line in either direction. Exactly one of its parts is set.
type Message struct {
	V int `json:"v"`

	// From the controller.
	Greet  *Greet      `json:"greet,omitempty"`
	Share  *Share      `json:"share,omitempty"`
	Run    *ClientLoad `json:"run,omitempty"`
	Listen *Listen     `json:"listen,omitempty"`
	Finish *Finish     `json:"finish,omitempty"`
	End    *End        `json:"end,omitempty"`
	Router *Routing    `json:"router,omitempty"`

	// From the probe.
	Hello   *Hello   `json:"hello,omitempty"`
	Shared  *Shared  `json:"shared,omitempty"`
	Waiting *Waiting `json:"waiting,omitempty"`
	Report  *Report  `json:"report,omitempty"`
	Ready   *Ready   `json:"ready,omitempty"`
	Served  *Served  `json:"served,omitempty"`
	Routed  *Routing `json:"routed,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// Routing is an order to the agent on a machine that translates, or its answer. Package
// lab/router defines the values of each order.
type Routing struct {
	Order  string          `json:"order"`
	Values json.RawMessage `json:"values,omitempty"`
}

// Hello is the first message of a probe.
type Hello struct {
	Role  string              `json:"role"`            // RoleClient, RoleServer or RoleRouter
	CPUs  []int               `json:"cpus"`            // that it may run on
	Files int                 `json:"files"`           // that it may open, with the soft limit raised
	Ports *scenario.PortRange `json:"ports,omitempty"` // that a server may listen on, if not all

	// LocalPorts is net.ipv4.ip_local_port_range where a client runs: the source
	// ports that its kernel chooses from. It is nil if it could not be read.
	LocalPorts *scenario.PortRange `json:"local_ports,omitempty"`
}

// The roles of a probe.
const (
	RoleClient = "client"
	RoleServer = "server"
	RoleRouter = "router" // the agent on a machine that translates, if it is not the controller's
)

// CountPorts returns the number of ports in the ranges.
func CountPorts(ranges []scenario.PortRange) (n int) {
	for _, p := range ranges {
		n += p.Len()
	}
	return n
}

// Greet is the first order of a controller to a server. A peer that does not greet
// is not a controller. A probe that runs before its controller is connected says hello
// when it is greeted: what it wrote before would be lost. Later greetings keep the run alive while its clients send and
// the server gets no other order.
type Greet struct{}

// Share asks whether a client can map the file of the barrier.
type Share struct {
	Barrier string `json:"barrier"`
}

// Shared answers Share.
type Shared struct{}

// Listen opens the server port of a trial, and that of its control.
type Listen struct {
	Protocol string `json:"protocol,omitempty"` // result.TCP or result.UDP; empty: TCP
	Port     uint16 `json:"port"`
	Control  uint16 `json:"control,omitempty"` // port of the control; 0: none
	IPv6     bool   `json:"ipv6,omitempty"`    // the clients connect over IPv6, and not over IPv4
	DNS      bool   `json:"dns,omitempty"`     // the requests are those of look-ups, over UDP and over TCP

	Hold  time.Duration `json:"hold,omitempty"`  // as in ClientLoad
	Close string        `json:"close,omitempty"` // likewise
}

// Ready answers Greet and Listen.
type Ready struct{}

// Finish closes the server ports.
type Finish struct{}

// Served answers Finish: it holds what the server counted since Listen. Accepted,
// Strangers and Sources are those of the trial's port. The counters of the kernel are
// those of both ports.
type Served struct {
	result.Server
	ControlAccepted uint64 `json:"control_accepted,omitempty"` // connections accepted on the control's port

	// Sources are the addresses that the accepted connections came from, in
	// ascending order, at most MaxSources of them.
	Sources []SourceCount `json:"sources,omitempty"`

	// Ports are the source ports that the accepted connections came from, and ControlPorts
	// those of the control.
	Ports        PortCounts `json:"ports,omitempty"`
	ControlPorts PortCounts `json:"control_ports,omitempty"`

	// Filtered is how many packets the filter before the server dropped; nil without one.
	// The lab sets it: no probe sends it.
	Filtered *Filtered `json:"-"`
}

// Filtered are the packets that a filter before the server dropped since Listen, each the
// first of a connection: a client does not send another one.
type Filtered struct{ Arm, Control uint64 }

// SourceCount is the number of connections that came from an address.
type SourceCount struct {
	Address  netip.Addr `json:"address"`
	Accepted uint64     `json:"accepted"`
}

// ClientLoad is what one client sends in one trial.
type ClientLoad struct {
	Server      netip.AddrPort `json:"server"`
	Protocol    string         `json:"protocol,omitempty"` // result.TCP or result.UDP; empty: TCP
	Requests    int            `json:"requests"`
	Timeout     time.Duration  `json:"timeout"`               // ns
	Rate        int            `json:"rate"`                  // requests a second; 0 is as fast as possible
	Concurrency int            `json:"concurrency,omitempty"` // ephemeral: requests in flight at once
	Lockstep    *LockstepPart  `json:"lockstep,omitempty"`    // nil: ephemeral
	Lookups     *LookupPart    `json:"lookups,omitempty"`     // nil: the requests are no DNS look-ups
	Explain     bool           `json:"explain,omitempty"`     // report the source ports of the timeouts
	Announce    bool           `json:"announce,omitempty"`    // after the last request, say how many are unanswered, and expect an End
	Hold        time.Duration  `json:"hold,omitempty"`        // TCP: that a connection stays open after its handshake, in ns
	Close       string         `json:"close,omitempty"`       // TCP: who closes it then, and how; empty: result.CloseReset
}

// Waiting is sent by a client that has sent all requests of a load with Announce, and
// waits for the answers to some of them. It holds the number of requests of the arm and of
// the control that got no answer so far, those whose timeout has passed included. Another
// one follows when answers have come.
type Waiting struct {
	Arm     int `json:"arm"`
	Control int `json:"control"`
}

// End tells a client that no answer can come any more: it gives up the requests that it
// waits for, as if their timeout had passed, and reports. It has no answer of its own. A
// client that has reported already ignores it.
type End struct{}

// LockstepPart is one client's part in a lockstep trial.
type LockstepPart struct {
	Client  int                `json:"client"`  // index of this client, from 0
	Clients int                `json:"clients"` // of the lab
	CPUs    int                `json:"cpus"`    // at most this many clients fire in one slot
	Ports   scenario.PortRange `json:"ports"`   // source ports: slot k leaves from the k-th of them
	Own     bool               `json:"own"`     // Ports are this client's own: it uses one after another, whatever the slot
	Barrier string             `json:"barrier"` // path of a file that all clients can map; empty: the clock keeps them in step
	Epoch   uint64             `json:"epoch"`   // number of the trial; it only grows
	Start   int64              `json:"start"`   // for the clock: CLOCK_MONOTONIC of slot 0 in ns

	Control *ControlPart `json:"control,omitempty"` // nil: no control
}

// ControlPart is a client's part in the control of a lockstep trial: slots whose
// connections pass plain MASQUERADE, whatever the arm is.
type ControlPart struct {
	Server netip.AddrPort     `json:"server"`
	Every  int                `json:"every"` // one slot of the control for every so many slots of the arm
	Seed   uint64             `json:"seed"`  // of the run: with the epoch, it draws which slots are the control's
	Ports  scenario.PortRange `json:"ports"` // source ports: the k-th slot of the control leaves from the k-th of them

	// Delays are those that the client ended the trial before with, by its place in a
	// turn, in ns. Empty: the client searches for the phase.
	Delays []int64 `json:"delays,omitempty"`
}

// LookupPart is how a client makes the look-ups of DNS that are its requests. Each asks for
// the A and the AAAA records of a name. Those of a control send both queries at once.
type LookupPart struct {
	Resolver string `json:"resolver,omitempty"` // of the arm, as in package result; empty: both queries at once
	Threads  int    `json:"threads"`            // that send the two queries: 1 or 2

	// Reopened are the source ports of second sockets, with result.SingleRequestReopen.
	Reopened scenario.PortRange `json:"reopened,omitzero"`
}

// Outcome is the outcome of requests: Requests = Succeeded + the sum of Failures.
type Outcome struct {
	Requests  int                  `json:"requests"`
	Succeeded int                  `json:"succeeded"`
	Ports     []scenario.PortRange `json:"ports"`               // source ports that were connected from
	Failures  map[string]int       `json:"failures"`            // by kind, as in package result
	Silent    []scenario.PortRange `json:"silent"`              // source ports of the timeouts, if the load has Explain
	MostOpen  int                  `json:"most_open,omitempty"` // connections at one time that stayed open after their handshakes; 0 if the load asks for none
	Latency   [][2]int64           `json:"latency"`             // of the requests that succeeded: pairs of µs and number of requests

	// Unanswered are the queries that the timeouts of look-ups have no answer to; nil if
	// the requests are no look-ups.
	Unanswered *result.Unanswered `json:"unanswered,omitempty"`
}

// Report is the outcome of a load.
type Report struct {
	Outcome          // of the arm's requests
	Control *Outcome `json:"control,omitempty"` // of the control's; nil without a ControlPart
	Phase   *Phase   `json:"phase,omitempty"`   // nil without a ControlPart

	Datagrams *Datagrams `json:"datagrams,omitempty"` // nil with TCP

	Seconds float64 `json:"seconds"`
	PeakRSS uint64  `json:"peak_rss"` // bytes

	BindErrors int `json:"bind_errors"`
	Missed     int `json:"missed"`
	MadeUp     int `json:"made_up"`
}

// Datagrams are those that came to a client of UDP and were not the answers that it counted.
type Datagrams struct {
	Foreign int     `json:"foreign"`        // not the answer to the request of their socket
	Late    *uint64 `json:"late,omitempty"` // to closed sockets: too late, or for the second time; nil: the kernel does not count them
}

// Phase is how the phase lock of one client fared.
type Phase struct {
	Delays    []int64 `json:"delays"` // at the end, by place, in ns: for the ControlPart of the next trial
	DelayLow  int64   `json:"delay_low"`
	DelayHigh int64   `json:"delay_high"`
	Turns     int     `json:"turns"`    // that the client took part in
	Locked    int     `json:"locked"`   // of them: the control was hit
	Searches  int     `json:"searches"` // of them: the client searched for the phase
}
