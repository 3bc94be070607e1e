// Package router drives the namespace that translates where it is on another machine
// than the controller: on a node of Kubernetes.
//
// An [Agent] runs there, with the node's network namespace and root file system, and does
// what another driver does on its own host: it finds the rules, puts arms in force, reads
// counters and deletes conntrack entries, all through the packages nat, conntrack and
// undo. A [Session] is the controller's side. They speak the protocol of the probes
// (package probe) over the agent's standard streams, with orders that are as coarse as the
// steps of a run: apply an arm, read the counters, undo it.
//
// # Restoring the node
//
// Every change is in a journal under the node's /run/snatlab before it is made. The agent
// undoes all of them when it is told to, and by itself when
//
//   - its input ends: the controller has ended or was killed, or the API server or the
//     kubelet between them has closed the stream;
//   - no order has come for [patience]: the network between them is cut, or the controller
//     is stopped. A controller sends one every [awakeInterval];
//   - it gets SIGTERM: its Pod is being deleted or evicted.
//
// An agent that is killed by SIGKILL leaves its journal. The next agent on this node undoes
// it, before its own run or for `snatlab cleanup`.
package router

import (
	"net/netip"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

const (
	// patience is how long the agent waits for an order before it restores the node.
	patience = 20 * time.Second
	// awakeInterval is the time between two orders of a controller that has none.
	awakeInterval = 4 * time.Second
)

// BarrierFolder is the folder that the agent makes for the barrier of a run. On the node
// it is beside the journal.
const BarrierFolder = undo.Dir + "/barrier"

// The orders, and the values of each and of its answer.
const (
	orderAwake   = "awake"   // none; none
	orderCheck   = "check"   // CheckOrder; []machine.Precondition
	orderCleanup = "cleanup" // CleanupOrder; Cleaned
	orderOpen    = "open"    // OpenOrder; Opened
	orderFind    = "find"    // findOrder; findStep
	orderSent    = "sent"    // sentOrder; findStep
	orderWiden   = "widen"   // lab.IdleRules; widened
	orderControl = "control" // scenario.PortRange; a text
	orderApply   = "apply"   // scenario.Arm; a text
	orderUndo    = "undo"    // none; none
	orderPackets = "packets" // none; packets
	orderOthers  = "others"  // none; lab.RuleCounters
	orderTable   = "table"   // none; conntrack.Snapshot
	orderEntries = "entries" // connections; []map[uint16]string
	orderForget  = "forget"  // connections; none
	orderFacts   = "facts"   // none; liveFacts
	orderClock   = "clock"   // none; ns
	orderClose   = "close"   // none; closed
)

// none is the value of an order or an answer that has none.
type none struct{}

// CheckOrder asks for what a run needs of the node, and changes nothing.
type CheckOrder struct {
	Entries int `json:"entries"` // room in the conntrack table
}

// CleanupOrder asks the agent to undo the journals of the node.
type CleanupOrder struct {
	Force  bool `json:"force"`   // those of an active run as well
	DryRun bool `json:"dry_run"` // only list them
}

// Cleaned is what a cleanup found.
type Cleaned struct {
	Undone []string   `json:"undone"` // what was undone, or with DryRun would be
	Left   []leftStep `json:"left"`   // what could not be undone
	Error  string     `json:"error"`  // of a journal that was not undone
}

// OpenOrder begins a run on the node.
type OpenOrder struct {
	Run      string         `json:"run"`
	What     string         `json:"what"`     // of the run, for others who want the node
	Entries  int            `json:"entries"`  // room in the conntrack table
	Barrier  bool           `json:"barrier"`  // make BarrierFolder
	Protocol string         `json:"protocol"` // of the load: result.TCP or result.UDP
	Arms     []scenario.Arm `json:"arms"`
}

// Opened is what the controller needs to know of the node.
type Opened struct {
	Facts     result.Env   `json:"facts"`
	Addresses []netip.Addr `json:"addresses"`  // of the node, IPv4
	Undone    []string     `json:"undone"`     // what a crashed run had left, and was undone
	NoBarrier string       `json:"no_barrier"` // why there is no folder; empty if there is
}

type findOrder struct {
	Clients []netip.Addr `json:"clients"`
	Server  netip.Addr   `json:"server"`
}

// findStep is either an order to the controller, to have a client open connections, or the
// rules that were found.
type findStep struct {
	Send  *sendStep   `json:"send,omitempty"`
	Found []FoundRule `json:"found,omitempty"`
}

type sendStep struct {
	Client      int `json:"client"`
	Connections int `json:"connections"`
}

type sentOrder struct {
	Error string `json:"error,omitempty"` // why they could not be opened
}

// FoundRule is a rule that translates the connections of clients.
type FoundRule struct {
	Program    string `json:"program"` // "iptables (nft)", "nftables"
	Place      string `json:"place"`   // its chain
	Text       string `json:"text"`
	DrawsPorts bool   `json:"draws_ports"` // it has --random-fully or --random already
	Clients    []int  `json:"clients"`
}

type widened struct {
	Rules  int    `json:"rules"`
	Reason string `json:"reason,omitempty"` // why there are none
}

type packets struct {
	Own     uint64 `json:"own"`
	Control uint64 `json:"control"`
}

type connections struct {
	Server netip.AddrPort         `json:"server"`
	Ports  [][]scenario.PortRange `json:"ports"`
}

type liveFacts struct {
	Sysctls map[string]string `json:"sysctls"`
	Max     *uint64           `json:"max,omitempty"`
}

type closed struct {
	Left []leftStep `json:"left,omitempty"`
}

// leftStep is an [undo.Left].
type leftStep struct {
	Step  undo.Step `json:"step"`
	Error string    `json:"error"`
}

// ensure that the values of other packages go over the wire.
var (
	_ = []machine.Precondition(nil)
	_ = conntrack.Snapshot{}
	_ = lab.IdleRules{}
)
