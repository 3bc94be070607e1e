// Package netns builds the lab from network namespaces, without a daemon, and as an
// ordinary user where the kernel lets users make namespaces.
//
//	client-0 ─┐
//	client-1 ─┼─ clients (bridge) ─ router ─ server
//	   ...   ─┘                 masquerade
//
// The router is a network namespace of its own: it forwards, holds the one
// masquerade rule, and has a conntrack table that no other traffic enters. The
// server and each client have one namespace each, with one probe in it: this very
// program. Nothing on the host changes. No namespace has a name: each exists as long
// as its probe or its thread, and these end with the process that opened the lab,
// however that ends. So there is nothing to journal, and nothing to clean up, unless
// a lab is kept.
//
// Making namespaces requires privilege. [Reexec] gets it for an ordinary user.
package netns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/nat"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/network"
	"snatlab/harness/undo"
)

// Config is what a lab is built from.
type Config struct {
	Run      string // id of the run: a part of the names of a lab that is kept
	Clients  int
	Family   string             // of the addresses: result.IPv4 or result.IPv6; empty: IPv4
	Protocol string             // of the load: result.TCP or result.UDP; empty: TCP
	NAT      string             // what writes the rule: result.NATNFTables or result.NATIPTables
	Control  bool               // the lab has a control
	Accept   scenario.PortRange // source ports that the server accepts; zero: all
	Backends int                // of the service that the clients connect to; 0: they connect to the server
	Widen    lab.IdleRules
	Binary   string       // the program that `probe ROLE` runs; empty: this one
	Say      func(string) // reports what is being done; may be nil
}

// Open builds a lab. It requires CAP_SYS_ADMIN and CAP_NET_ADMIN, in the user
// namespace that it is called in.
func Open(ctx context.Context, c Config) (lab.Keeper, error) {
	l := newNetnsLab(c)
	err := lab.BuildLab(ctx, l.Close, l.makeBarrier, l.makeRouter, l.masqueradeClients, l.startServer, l.startClients)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// routerUndoers returns what undoes changes inside the router.
func routerUndoers() undo.Undoers {
	all := nat.Undoers()
	maps.Copy(all, lab.Undoers())
	return all
}

type netnsLab struct {
	lab.Base
	config  Config
	plan    network.Plan // the addresses
	barrier *os.File     // memory that the clients share
	router  *router
	nodes   []*node // the server, then the clients
	kept    bool
}

// newNetnsLab returns a lab of which nothing is built.
func newNetnsLab(c Config) *netnsLab {
	c.Binary = cmp.Or(c.Binary, lab.ThisBinary)
	l := &netnsLab{Base: lab.NewBase(result.DriverNetns, c.Say), config: c, plan: network.NetnsPlan(c.Family)}
	l.Journal, l.Outgoing, l.WithControl = undo.InMemory(routerUndoers()), lab.ServerName, c.Control
	l.BarrierFile = fmt.Sprintf("/proc/self/fd/%d", barrierFD) // the same descriptor in every probe
	l.Protocol, l.Accept = cmp.Or(c.Protocol, result.TCP), c.Accept
	l.Facts.NAT, l.Facts.Rootless = c.NAT, IsReexecuted()
	l.Facts.ClientNetwork = l.plan.Clients.String()
	l.nodes = []*node{newNode(serverPlace(l.plan))}
	for i := range c.Clients {
		l.nodes = append(l.nodes, newNode(clientPlace(l.plan, i)))
	}
	return l
}

// writeRule writes the rule with the program that the scenario names.
func (l *netnsLab) writeRule(ctx context.Context) (*nat.Rule, error) {
	if l.config.NAT == result.NATNFTables {
		return nat.MasqueradeNFTables(ctx, l.Journal, l.plan.Clients, bridge)
	}
	tables, err := iptables.OpenDefault(iptables.FamilyOf(l.plan.Clients.Addr()))
	if err != nil {
		return nil, err
	}
	return nat.MasqueradeIPTables(ctx, l.Journal, tables, l.plan.Clients, bridge)
}

func (l *netnsLab) makeBarrier(context.Context) error {
	fd, err := unix.MemfdCreate("snatlab-barrier", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make the memory that the clients share: memfd_create: %w", err)
	}
	l.barrier = os.NewFile(uintptr(fd), "barrier")
	return nil
}

// masqueradeClients writes the rule of the clients' network, and the idle rules.
func (l *netnsLab) masqueradeClients(ctx context.Context) error {
	return l.router.do(func() (err error) {
		l.Rule, err = l.writeRule(ctx)
		if err != nil {
			return err
		}
		return l.AddIdleRules(ctx, l.plan.Clients, l.config.Widen)
	})
}

// Intact returns nil: other programs can change nothing in the lab. They can end a
// probe, which ends its stream.
func (l *netnsLab) Intact(context.Context) error { return nil }

// Close ends the probes, which ends their namespaces, and then the router. It does
// nothing to a lab that was kept.
func (l *netnsLab) Close(context.Context) error {
	if l.kept {
		return nil
	}
	var errs []error
	for _, n := range l.nodes { // all at once: each may take a while
		errs = append(errs, n.hangUp())
	}
	late := make(chan time.Time)
	defer time.AfterFunc(probeEndTime, func() { close(late) }).Stop()
	for _, n := range l.nodes {
		errs = append(errs, n.awaitEnd(late))
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

// startServer starts the server, behind the router.
func (l *netnsLab) startServer(ctx context.Context) error {
	err := l.StartServer(ctx, func(ctx context.Context) (lab.StartedProbe, error) {
		return l.startNode(ctx, l.nodes[0], probe.RoleServer)
	})
	if err != nil {
		return err
	}
	return errors.Join(l.FilterServer(ctx), l.MakeService(ctx, l.plan.Clients, l.config.Backends))
}

func (l *netnsLab) startClients(ctx context.Context) error {
	return l.StartClients(ctx, l.config.Clients, func(ctx context.Context, i int) (lab.StartedProbe, error) {
		return l.startNode(ctx, l.nodes[1+i], probe.RoleClient)
	})
}
