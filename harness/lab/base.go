package lab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"snatlab/harness/conntrack"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/probe"
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
	// ServerName is the name of the server in the names of a lab's parts.
	ServerName = "server"
	// AcceptQueue is the server's net.core.somaxconn: with the lowest priority
	// there is, the server may be a whole trial behind.
	AcceptQueue = "32768"
)

// ClientName returns the name of a client in the names of a lab's parts.
func ClientName(i int) string { return fmt.Sprintf("client-%d", i) }

// DescribeProbe returns the name of a probe for people: "client 0".
func DescribeProbe(name string) string { return strings.ReplaceAll(name, "-", " ") }

// Base is the part of a [Lab] that is the same in every driver: a driver embeds it,
// sets its fields while it builds the lab, and writes Intact and Close itself.
type Base struct {
	Facts       result.Env            // of the machine before anything was built, and of the driver
	Say         func(string)          // reports what is being done; never nil
	Router      machine.NamespaceFunc // enters the namespace that translates
	Rule        *nat.Rule             // masquerades the clients' network, in the router
	Outgoing    string                // the router's interface towards the server
	Journal     *undo.Journal         // of what changes inside the router
	BarrierFile string                // all clients can map it; empty if there is none
	SharedTable bool                  // other traffic is in the router's conntrack table
	WithControl bool                  // the lab can have a control

	clients   []*probe.ClientSession
	addresses []netip.Addr            // of the clients
	inClients []machine.NamespaceFunc // enter the clients' namespaces
	server    *probe.ServerSession
	address   netip.Addr            // of the server
	inServer  machine.NamespaceFunc // nil for a server that is not the lab's own
	control   *nat.ControlRule      // nil: there is no control
}

// NewBase returns the base of a lab that a driver is about to build. Say may be nil.
func NewBase(driver string, say func(string)) Base {
	if say == nil {
		say = func(string) {}
	}
	var one sync.Mutex // steps that run side by side report as well
	return Base{Facts: machine.ReadFacts(driver), Say: func(text string) {
		one.Lock()
		defer one.Unlock()
		say(text)
	}}
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
	return b.recordIdleRules(rules, nftables.WidenWindow(ctx, b.Journal, subnet, rules.Number))
}

// recordIdleRules records whether the lab has the idle rules.
func (b *Base) recordIdleRules(rules IdleRules, err error) error {
	if _, missing := errors.AsType[*nftables.MissingError](err); missing && !rules.Required {
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
			return context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	built = true
	return nil
}

// StartedProbe is a probe that a driver has started.
type StartedProbe struct {
	Stream  probe.Stream
	Address netip.Addr            // its address in the lab
	Space   machine.NamespaceFunc // enters its namespace
}

// StartServer starts the lab's own server by a call of start.
func (b *Base) StartServer(ctx context.Context, start func(context.Context) (StartedProbe, error)) error {
	b.Say("starting the server")
	p, err := start(ctx)
	if err != nil {
		return err
	}
	server, err := probe.OpenServer(ctx, p.Stream)
	if err == nil {
		b.SetServer(server, p.Address)
		b.inServer = p.Space
	}
	return err
}

// SetServer makes s, at this address, the server of the lab. A driver calls it for a server outside the lab.
func (b *Base) SetServer(s *probe.ServerSession, address netip.Addr) {
	b.server, b.address = s, address
}

// clientsAtOnce is how many clients are started side by side.
const clientsAtOnce = 4

// StartClients starts n clients side by side, each by a call of start with the client's
// index. They begin in this order, so a client may wait for the first one.
func (b *Base) StartClients(ctx context.Context, n int, start func(context.Context, int) (StartedProbe, error)) error {
	probes, opened := make([]StartedProbe, n), make([]*probe.ClientSession, n)
	open := func(ctx context.Context, i int) (err error) {
		b.Say(fmt.Sprintf("starting client %d of %d", i+1, n))
		if probes[i], err = start(ctx, i); err == nil {
			opened[i], err = probe.OpenClient(ctx, probes[i].Stream)
		}
		return err
	}
	err := DoSideBySide(ctx, n, clientsAtOnce, open)
	for i, c := range opened {
		if c != nil { // after an error as well: HangUp ends those that run
			b.clients, b.addresses = append(b.clients, c), append(b.addresses, probes[i].Address)
			b.inClients = append(b.inClients, probes[i].Space)
		}
	}
	return err
}

// Environment returns the facts of the machine and the lab.
func (b *Base) Environment() result.Env {
	env := b.Facts
	env.CPUs = len(b.clients[0].Hello.CPUs)
	env.Server, env.ControlRule = b.address.String(), b.ControlRule()
	if tables := b.Rule.IPTables(); tables != nil {
		env.Iptables = new(tables.Version())
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

// Clients returns the clients in the order of their indices.
func (b *Base) Clients() []*probe.ClientSession { return b.clients }

// Barrier returns BarrierFile.
func (b *Base) Barrier() string { return b.BarrierFile }

// Shared returns SharedTable.
func (b *Base) Shared() bool { return b.SharedTable }

// firstPort is the server port of the first trial, where all are free.
const firstPort = 20_000

// HasControl returns WithControl.
func (b *Base) HasControl() bool { return b.WithControl }

// InsertControl inserts the rule of the control before the rule of the clients' network.
func (b *Base) InsertControl(ctx context.Context, ports scenario.PortRange) error {
	return b.Router(func() (err error) {
		b.control, err = b.Rule.InsertControl(ctx, b.Journal, b.address, snat.PortRange(ports))
		return err
	})
}

// Listen opens the server ports of a trial. With a control, one of the two is the same in
// all trials. Of the ports that a server has for a run it is the first.
func (b *Base) Listen(ctx context.Context, trial int, swapped bool) (at ServerPorts, err error) {
	first := firstPort - 1
	if ports := b.server.Hello.Ports; ports != nil {
		first = int(ports.First)
		if !b.WithControl {
			first--
		}
	}
	at.Arm = netip.AddrPortFrom(b.address, uint16(first+1+trial))
	if b.control != nil {
		at.Control = netip.AddrPortFrom(b.address, uint16(first))
	}
	if swapped && b.control != nil {
		at.Arm, at.Control = at.Control, at.Arm
	}
	return at, b.server.Listen(ctx, at.Arm.Port(), at.Control.Port())
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

// Finish closes the ports that are open.
func (b *Base) Finish(ctx context.Context) (*probe.Served, error) { return b.server.Finish(ctx) }

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
	err = b.Router(func() error {
		states, err := conntrack.LookUpStates(ctx, b.listConnections(server, ports))
		sorted = b.sortByClient(states)
		return err
	})
	return sorted, err
}

// Forget deletes conntrack entries in the router.
func (b *Base) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	return b.Router(func() error { return conntrack.DeleteEntries(ctx, b.listConnections(server, ports)) })
}

// listConnections yields the source and the destination of each connection of the
// clients to a server. Ports are those that each client, by its index, connected
// from.
func (b *Base) listConnections(server netip.AddrPort, ports [][]scenario.PortRange) iter.Seq2[netip.AddrPort, netip.AddrPort] {
	return func(yield func(source, destination netip.AddrPort) bool) {
		for i, ranges := range ports {
			for _, r := range ranges {
				for port := int(r.First); port <= int(r.Last); port++ {
					if !yield(netip.AddrPortFrom(b.addresses[i], uint16(port)), server) {
						return
					}
				}
			}
		}
	}
}

// sortByClient sorts the states of entries by client and source port.
func (b *Base) sortByClient(states map[netip.AddrPort]string) []map[uint16]string {
	sorted := make([]map[uint16]string, len(b.addresses))
	for i := range sorted {
		sorted[i] = map[uint16]string{}
	}
	for source, state := range states {
		if i := slices.Index(b.addresses, source.Addr()); i >= 0 {
			sorted[i][source.Port()] = state
		}
	}
	return sorted
}

// HangUp ends the sessions with the probes.
func (b *Base) HangUp() error {
	var errs []error
	for _, c := range b.clients {
		errs = append(errs, c.Close())
	}
	if b.server != nil {
		errs = append(errs, b.server.Close())
	}
	return errors.Join(errs...)
}
