// Package lab defines what an experiment needs of a topology: clients, a masquerade
// rule that their connections pass, a server behind it, and the counters of the
// conntrack table in between. The drivers in the subfolders build one.
//
// # Writing a driver
//
// A driver is a package with a Config, and with an Open whose lab is a [Keeper]. The
// lab embeds a [Base], made by [NewBase], which implements all of Keeper but Intact,
// Close and Keep. A new driver writes:
//
//   - Preflight returns the [machine.Precondition] values of a run, and changes
//     nothing (the kernel may load modules).
//   - Open passes its steps to [BuildLab]. They set the fields of the Base, call
//     [CheckArms] where a rule is rewritten that the driver did not write, start the
//     probes by [Sessions.StartServer] and [Sessions.StartClients]. Where nobody knows
//     which rule translates, [Base.FindRules] finds out, once the probes run.
//   - Intact reports what other programs have changed.
//   - Close ends the probes ([Base.HangUp]) and undoes every change to the host.
//   - Keep leaves the lab standing.
//   - Undoers returns what undoes the driver's own steps in a journal.
//
// The places outside of lab that name each driver are listed in docs/architecture.md
// under "Adding a driver". Every driver runs the conformance suite of package labtest:
// see conformance_test.go of the drivers.
package lab

import (
	"context"
	"net/netip"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/nat"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Lab is a running topology. It is for one goroutine at a time; only the
// clients run side by side.
type Lab interface {
	// Environment returns the facts of the machine and the lab.
	Environment() result.Env
	// Clients returns the clients in the order of their indices.
	Clients() []*probe.ClientSession
	// Barrier returns a file that all clients can map; empty if there is none.
	Barrier() string
	// MonotonicTime returns CLOCK_MONOTONIC of the machine where the clients are, in ns.
	MonotonicTime(context.Context) (int64, error)
	// Apply puts an arm in force, until the rule's Undo.
	Apply(context.Context, scenario.Arm) (ArmRule, error)
	// HasControl reports whether the lab can have a control.
	HasControl() bool
	// InsertControl inserts the rule of the control: connections that leave the clients
	// from these source ports pass plain masquerade in every arm, whatever port of the
	// server they go to. Without it there is no control.
	InsertControl(ctx context.Context, ports scenario.PortRange) error
	// AnswerLookups has the server answer DNS queries from then on.
	AnswerLookups()
	// Listen opens the server ports of a trial, and returns the addresses at which
	// clients reach them. Trials count from 0. With a control there are two ports, one of
	// them the same in all trials, and the other one of no other trial. The first is the
	// control's, or with swapped the arm's.
	Listen(ctx context.Context, trial int, swapped bool) (ServerPorts, error)
	// ControlRule returns the text of the control's rule; empty without one.
	ControlRule() string
	// ControlPackets returns the number of connections that this rule matched since it
	// was written. A missing rule is an error.
	ControlPackets(context.Context) (uint64, error)
	// HoldConnections has the server of later trials keep connections of TCP open for so
	// long, if it is the one who closes them: see probe.ClientLoad.
	HoldConnections(hold time.Duration, closes string)
	// ServerFiles returns the number of files that the server may open.
	ServerFiles() int
	// Finish closes the ports and returns what was served, and what a filter before the
	// server dropped.
	Finish(context.Context) (*probe.Served, error)
	// Intact returns an error if another program has changed the lab since it was
	// built: figures from then on are wrong.
	Intact(context.Context) error
	// Conntrack reads the counters of the namespace that translates.
	Conntrack(context.Context) (conntrack.Snapshot, error)
	// Shared reports whether other traffic than the lab's is in that namespace.
	Shared() bool
	// Entries returns the states of the conntrack entries of connections to the
	// server, for each client by source port: "SYN_SENT". Ports are those to look
	// for, for each client.
	Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) ([]map[uint16]string, error)
	// Forget deletes the conntrack entries that the clients' connections to
	// the server left, and no others. Ports are those that each client, by
	// its index, connected from.
	Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error
	// Close removes the lab and undoes every change to the host. A change that
	// could not be undone is an *undo.LeftError. Close may be called again.
	Close(context.Context) error
}

// ServerPorts are the server's addresses for the two parts of a trial. Control is zero
// where there is none.
type ServerPorts struct{ Arm, Control netip.AddrPort }

// ArmRule is the masquerade rule in force for an arm, and what else the arm sets.
type ArmRule interface {
	// Rule returns the text of the rule, as its own tool prints it.
	Rule() string
	// Settings returns what else the arm sets, in the order in which it was set.
	Settings() []result.Setting
	// Packets returns the number of connections that the rule matched since it was
	// written. A missing rule is an error.
	Packets(context.Context) (uint64, error)
	// BothPackets returns in one reading what Packets and the lab's ControlPackets
	// return, and 0 for a control that does not exist.
	BothPackets(context.Context) (own, control uint64, err error)
	// Counters returns the counters of other rules that may translate instead. The
	// first call may return those of the moment when the arm was put in force.
	Counters(context.Context) RuleCounters
	// Undo restores the rule and all else as the driver made it.
	Undo(context.Context) error
}

// PortDrawer is an [ArmRule] that may be a rule of somebody else, with options that the
// scenario does not give it.
type PortDrawer interface {
	// DrawsPorts reports whether the rule draws source ports at random.
	DrawsPorts() bool
}

// PartCounter is an [ArmRule] that may consist of several rules.
type PartCounter interface {
	// PartPackets returns in one reading what each of the arm's rules matched since it was
	// written, in the order in which connections reach them; nil where the arm has one rule.
	PartPackets(context.Context) ([]uint64, error)
}

// Counters are the packet counters of rules of other programs.
type (
	RuleCounters = nat.RuleCounters
	RuleCounter  = nat.RuleCounter
)

// Keeper is a lab that can be left standing after its run.
type Keeper interface {
	Lab
	// Keep ends the run's part in the lab and leaves the lab standing. Close does
	// nothing from then on.
	Keep(context.Context) (*Kept, error)
}

// Kept is how to use a lab that was left standing.
type Kept struct {
	Look   []string // command lines that look into it
	Remove string   // the command line that removes it
	Held   bool     // it stands only as long as this process lives
}
