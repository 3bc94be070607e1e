// Package netns builds the lab out of network namespaces, without a daemon,
// and as an ordinary user where the kernel lets users have namespaces.
//
//	client-0 ─┐
//	client-1 ─┼─ clients (bridge) ─ router ─ server
//	   ...   ─┘                 masquerade
//
// The router is a network namespace of its own: it forwards, holds the one
// masquerade rule, and has a conntrack table that no other traffic enters. The
// server and each client are one more, each with one probe in it: this very
// program. Nothing on the host changes. No namespace has a name: each lives as
// long as what is in it, and all of that ends with the process that opened the
// lab, however that ends. So there is nothing to journal, and nothing to clean
// up, unless a lab is kept.
//
// Making namespaces takes privilege. [Reexec] gets it for an ordinary user.
package netns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Config is what a lab is built from.
type Config struct {
	Run     string // id of the run: the names of a lab that is kept carry it
	Clients int
	NAT     string       // what writes the rule: result.NATNFTables or result.NATIPTables
	Widen   int          // idle rules between NAT and confirmation
	Binary  string       // the program that `probe ROLE` runs; empty: this one
	Say     func(string) // told what is being done; may be nil
}

// thisBinary is the program that is running, even if its file was replaced or
// lies where the user of the probes cannot go.
const thisBinary = "/proc/self/exe"

// Open builds a lab. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN, in the user
// namespace that it is called in.
func Open(ctx context.Context, c Config) (_ lab.Keeper, err error) {
	c.Binary = cmp.Or(c.Binary, thisBinary)
	if c.Say == nil {
		c.Say = func(string) {}
	}
	l := &netnsLab{Config: c, facts: machine.ReadFacts(result.DriverNetns), journal: undo.InMemory(undoers())}
	open := false
	defer func() {
		if !open { // after a panic as well
			err = errors.Join(err, l.Close(undo.Context(ctx)))
		}
	}()
	for _, step := range []func(context.Context) error{l.makeBarrier, l.makeRouter, l.masquerade, l.startServer, l.startClients} {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	open = true
	return l, nil
}

// undoers undo what changes inside the router.
func undoers() undo.Undoers {
	all := nat.Undoers()
	maps.Copy(all, lab.Undoers())
	return all
}

type netnsLab struct {
	Config
	lab.Probes
	facts   result.Env // before anything was built
	barrier *os.File   // memory that the clients share
	router  *router
	rule    *nat.Rule
	journal *undo.Journal // of what changes inside the router
	nodes   []*node       // the server, then the clients
	kept    bool
}

// writeRule has what the scenario names write the rule.
func (l *netnsLab) writeRule(ctx context.Context) (*nat.Rule, error) {
	if l.NAT == result.NATNFTables {
		return nat.MasqueradeNFTables(ctx, l.journal, clientNet, bridge)
	}
	tables, err := nat.Program()
	if err != nil {
		return nil, err
	}
	return tables.Masquerade(ctx, l.journal, clientNet, bridge)
}

// Barrier is the same descriptor in every probe.
func (l *netnsLab) Barrier() string { return fmt.Sprintf("/proc/self/fd/%d", barrierFD) }

// Clients are the probes; those of Config are their number.
func (l *netnsLab) Clients() []*probe.Client { return l.Probes.Clients() }

func (l *netnsLab) makeBarrier(context.Context) error {
	fd, err := unix.MemfdCreate("snatlab-barrier", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make the memory that the clients share: memfd_create: %w", err)
	}
	l.barrier = os.NewFile(uintptr(fd), "barrier")
	return nil
}

// masquerade writes the rule of the clients' network.
func (l *netnsLab) masquerade(ctx context.Context) error {
	return l.router.do(func() (err error) {
		l.rule, err = l.writeRule(ctx)
		if err == nil && l.Widen > 0 {
			err = nftables.Widen(ctx, l.journal, clientNet, l.Widen)
		}
		return err
	})
}

func (l *netnsLab) Apply(ctx context.Context, arm scenario.Arm) (lab.Rule, error) {
	return l.site().Apply(ctx, arm)
}

// site is where arms are applied.
func (l *netnsLab) site() *lab.Site {
	enter := func(n *node) machine.NamespaceFunc {
		return func(do func() error) error { return machine.DoInNamespace(n.space, do) }
	}
	s := &lab.Site{Router: l.router.do, Server: enter(l.nodes[0]), Rule: l.rule, Outgoing: serverPlace().name, Journal: l.journal,
		Taken: slices.Concat(l.ClientAddresses(), []netip.Addr{l.ServerAddress()})}
	for _, n := range l.nodes[1:] {
		s.Clients = append(s.Clients, enter(n))
	}
	return s
}

func (l *netnsLab) Conntrack(context.Context) (s conntrack.Snapshot, err error) {
	err = l.router.do(func() (err error) {
		s, err = conntrack.Read()
		return err
	})
	return s, err
}

// Intact: nobody else has a way in, but to end a probe, which its stream tells.
func (l *netnsLab) Intact(context.Context) error { return nil }

// Shared: nothing else is in the router.
func (l *netnsLab) Shared() bool { return false }

func (l *netnsLab) Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) (sorted []map[uint16]string, err error) {
	err = l.router.do(func() error {
		states, err := conntrack.Entries(ctx, l.Connections(server, ports))
		sorted = l.ByClient(states)
		return err
	})
	return sorted, err
}

func (l *netnsLab) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	return l.router.do(func() error { return conntrack.Forget(ctx, l.Connections(server, ports)) })
}

func (l *netnsLab) Environment() result.Env {
	env := l.facts
	env.CPUs = len(l.Clients()[0].Hello.CPUs)
	env.Rootless = Reexecuted()
	env.NAT, env.Widened = l.NAT, l.Widen
	_ = l.router.do(func() error {
		env.Sysctls = machine.ReadRaceSysctls()
		return nil
	})
	if tables := l.rule.Tables(); tables != nil {
		env.Iptables = new(tables.Version())
	}
	env.ClientNetwork, env.Server = clientNet.String(), l.ServerAddress().String()
	if s, err := l.Conntrack(context.Background()); err == nil {
		env.ConntrackMax = &s.Max
	}
	return env
}

// Close ends the probes, which ends their namespaces, and then the router. A
// lab that was kept stays.
func (l *netnsLab) Close(context.Context) error {
	if l.kept {
		return nil
	}
	var errs []error
	for _, n := range l.nodes { // all of them at once: each may take a while
		errs = append(errs, n.hangUp())
	}
	late := make(chan time.Time)
	defer time.AfterFunc(grace, func() { close(late) }).Stop()
	for _, n := range l.nodes {
		errs = append(errs, n.end(late))
	}
	errs = append(errs, l.HangUp())
	if l.router != nil {
		l.router.close()
	}
	if l.barrier != nil {
		l.barrier.Close()
	}
	return errors.Join(errs...)
}

// startServer puts the server behind the router.
func (l *netnsLab) startServer(ctx context.Context) error {
	l.Say("starting the server")
	stream, err := l.start(ctx, serverPlace(), probe.RoleServer)
	if err != nil {
		return err
	}
	s, err := probe.OpenServer(ctx, stream)
	if err == nil {
		l.SetServer(s, serverAddress)
	}
	return err
}

func (l *netnsLab) startClients(ctx context.Context) error {
	for i := range l.Config.Clients {
		l.Say(fmt.Sprintf("starting client %d of %d", i+1, l.Config.Clients))
		place := clientPlace(i)
		stream, err := l.start(ctx, place, probe.RoleClient)
		if err != nil {
			return err
		}
		c, err := probe.OpenClient(ctx, stream)
		if err != nil {
			return err
		}
		l.AddClient(c, place.address.Addr())
	}
	return nil
}
