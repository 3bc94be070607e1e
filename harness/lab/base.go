package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab/filter"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/idle"
	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// The settings with which drivers start probes.
const (
	// ThisBinary is the program that runs, which is a probe as well, even if its
	// file was replaced or is where the user of the probes cannot go.
	ThisBinary = "/proc/self/exe"
	// ProbeUser is the user, and the group, that probes run as: nobody.
	ProbeUser = 65534
	// AcceptQueue is the server's net.core.somaxconn: with the lowest priority
	// there is, the server may be a whole trial behind.
	AcceptQueue = "32768"
)

// Base is the part of a [Lab] that is the same in every driver: a driver embeds it,
// sets its fields while it builds the lab, and writes Intact and Close itself.
type Base struct {
	Sessions
	Facts       result.Env            // of the machine before anything was built, and of the driver
	Router      machine.NamespaceFunc // enters the namespace that translates
	Rule        *nat.Rule             // masquerades the clients' network, in the router
	Found       *effect.Rules         // that translate instead of Rule; nil: Rule does
	Outgoing    string                // the router's interface towards the server
	Journal     *undo.Journal         // of what changes inside the router
	SharedTable bool                  // other traffic is in the router's conntrack table
	Accept      scenario.PortRange    // source ports that the lab's own server accepts; zero: all

	control      controlRule        // nil: there is no control
	controlPorts scenario.PortRange // that it is for
	backends     []netip.Addr       // of the service that clients connect to; nil: they connect to the server's own address

	listening ServerPorts   // of the trial
	dropped   filter.Counts // by the server's filter when the trial began
}

// NewBase returns the base of a lab that a driver is about to build. Say may be nil.
func NewBase(driver string, say func(string)) Base {
	return Base{Sessions: NewSessions(say), Facts: machine.ReadFacts(driver)}
}

// IdleRules are the rules that widen the window of the race.
type IdleRules struct {
	Number   int
	Required bool // a kernel that cannot have them is an error
}

// AddIdleRules adds idle rules for connections from a subnet, in the namespace that
// translates. If the kernel lacks a part of nftables and they are not required, the lab
// has none, and its Environment holds the reason.
func (b *Base) AddIdleRules(ctx context.Context, subnet netip.Prefix, rules IdleRules) error {
	if rules.Number == 0 {
		return nil
	}
	b.Say(fmt.Sprintf("adding %d idle rules", rules.Number))
	return b.recordIdleRules(rules, idle.AddRules(ctx, b.Journal, []netip.Prefix{subnet}, rules.Number))
}

// recordIdleRules records whether the lab has the idle rules.
func (b *Base) recordIdleRules(rules IdleRules, err error) error {
	if _, missing := errors.AsType[*transaction.MissingError](err); missing && !rules.Required {
		b.Facts.NotWidened = err.Error()
		return nil
	}
	if err == nil {
		b.Facts.Widened = rules.Number
	}
	return err
}

// BuildLab calls the steps that build a lab. If one of them fails or panics, or ctx
// ends before all are done, it calls closeLab, which undoes those that were made.
func BuildLab(ctx context.Context, closeLab func(context.Context) error, steps ...func(context.Context) error) (err error) {
	built := false
	defer func() {
		if !built { // after a panic as well
			err = errors.Join(err, closeLab(undo.Context(ctx)))
		}
	}()
	for _, step := range steps {
		if ctx.Err() != nil {
			break
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil { // before a step, or during the last one
		return context.Cause(ctx)
	}
	built = true
	return nil
}

// Environment returns the facts of the machine and the lab.
func (b *Base) Environment() result.Env {
	env := b.Facts
	env.CPUs = len(b.clients[0].Hello.CPUs)
	env.Server, env.ControlRule = b.address.String(), b.ControlRule()
	env.Service = b.describeService()
	if a := b.Accept; a.Valid() {
		env.AcceptSourcePorts = &result.Ports{First: int(a.First), Last: int(a.Last)}
	}
	if b.Rule != nil && b.Rule.IPTables() != nil {
		env.Iptables = new(b.Rule.IPTables().Version())
	}
	_ = b.Router(func() error {
		env.Sysctls = machine.ReadRaceSysctls()
		s, err := conntrack.ReadSnapshot()
		if err == nil {
			env.ConntrackMax = &s.Max
		}
		return err
	})
	return env
}

// Shared returns SharedTable.
func (b *Base) Shared() bool { return b.SharedTable }

// InsertControl inserts the rule of the control before the rule of the clients' network.
func (b *Base) InsertControl(ctx context.Context, ports scenario.PortRange) error {
	return b.Router(func() (err error) {
		of := snat.Connections{Server: b.serverNetwork(), UDP: b.Protocol == result.UDP, Ports: snat.PortRange(ports)}
		b.control, err = b.translation().insertControl(ctx, b.Journal, of)
		b.controlled, b.controlPorts = b.control != nil, ports
		return err
	})
}

// ControlRule returns the text of the control's rule.
func (b *Base) ControlRule() string {
	if b.control == nil {
		return ""
	}
	return b.control.Text()
}

// ControlPackets returns the number of connections that the control's rule matched since
// it was written. A missing rule is an error.
func (b *Base) ControlPackets(ctx context.Context) (n uint64, err error) {
	if b.control == nil {
		return 0, nil
	}
	err = b.Router(func() (err error) {
		n, err = b.control.Packets(ctx)
		return err
	})
	return n, err
}

// Conntrack reads the counters in the router.
func (b *Base) Conntrack(context.Context) (s conntrack.Snapshot, err error) {
	err = b.Router(func() (err error) {
		s, err = conntrack.ReadSnapshot()
		return err
	})
	return s, err
}

// Entries returns the states of conntrack entries in the router.
func (b *Base) Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) (sorted []map[uint16]string, err error) {
	err = b.Router(func() (err error) {
		sorted, err = LookUpEntries(ctx, b.Protocol, b.addresses, server, ports)
		return err
	})
	return sorted, err
}

// Forget deletes conntrack entries in the router.
func (b *Base) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	return b.Router(func() error {
		err := ForgetEntries(ctx, b.Protocol, b.addresses, server, ports)
		if b.lookups { // those of an arm may be made over TCP
			err = errors.Join(err, ForgetEntries(ctx, result.TCP, b.addresses, server, ports))
		}
		return err
	})
}
