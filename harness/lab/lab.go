// Package lab says what an experiment needs of a topology: clients, a
// masquerade rule that their connections pass, a server behind it, and the
// counters of the conntrack table in between. The drivers below it build one.
package lab

import (
	"context"
	"net/netip"

	"snatlab/harness/conntrack"
	"snatlab/harness/nat"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Lab is a running topology. It is for one goroutine at a time; only the
// clients run side by side.
type Lab interface {
	// Environment tells the facts of the machine and the lab.
	Environment() result.Env
	// Clients are in the order of their indices.
	Clients() []*probe.Client
	// Barrier is a file that all clients can map; empty if there is none.
	Barrier() string
	// Apply puts an arm in force, until the rule's Undo.
	Apply(context.Context, scenario.Arm) (Rule, error)
	// Listen opens a server port that no other trial uses, and gives the
	// address that clients reach it at. Trials count from 0.
	Listen(ctx context.Context, trial int) (netip.AddrPort, error)
	// Finish closes the port and says what was served.
	Finish(context.Context) (*probe.Served, error)
	// Intact tells what somebody has taken away of the lab since it was built:
	// figures from then on are wrong.
	Intact(context.Context) error
	// Conntrack reads the counters of the namespace that translates.
	Conntrack(context.Context) (conntrack.Snapshot, error)
	// Shared tells whether other traffic than the lab's is in that namespace.
	Shared() bool
	// Entries gives the states of the conntrack entries of connections to the
	// server, for each client by source port: "SYN_SENT". Ports are those that
	// are looked for, for each client.
	Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) ([]map[uint16]string, error)
	// Forget deletes the conntrack entries that the clients' connections to
	// the server left, and no others. Ports are those that each client, by
	// its index, connected from.
	Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error
	// Close removes the lab and undoes every change to the host. What could
	// not be undone is told in an *undo.LeftError. It may be called again.
	Close(context.Context) error
}

// Rule is the masquerade rule in force for an arm, and what else the arm sets.
type Rule interface {
	// Rule is its text, as its own tool prints it.
	Rule() string
	// Settings returns what else the arm sets, in the order in which it was set.
	Settings() []result.Setting
	// Packets counts the connections that it matched since it was written.
	// That the rule is no longer there is an error.
	Packets(context.Context) (uint64, error)
	// Counters are those of the other rules that may translate instead.
	Counters(context.Context) Counters
	// Undo puts the rule and all else back as the driver made it.
	Undo(context.Context) error
}

// Counters are the packet counters of rules that are not the lab's.
type (
	Counters = nat.Counters
	Counter  = nat.Counter
)

// Keeper is a lab that can be left standing.
type Keeper interface {
	Lab
	// Keep ends the run's part in the lab and leaves it standing, instead of
	// Close, which does nothing from then on.
	Keep(context.Context) (*Kept, error)
}

// Kept says what can be done with a lab that was left standing.
type Kept struct {
	Look   []string // command lines that look into it
	Remove string   // the command line that removes it
	// Held says that it stands only as long as this process lives.
	Held bool
}
