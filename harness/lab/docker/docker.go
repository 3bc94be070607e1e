// Package docker builds the lab out of containers, through the Docker API.
//
// Two bridge networks: the clients on one, the server on the other, so that
// every connection passes the masquerade rule that Docker itself wrote for
// the clients' network. Docker keeps bridges apart from each other; two rules
// in DOCKER-USER, between exactly these two bridges, let the lab's packets
// through. NAT and conntrack are the host's own.
//
// Where the scenario says so, the clients are on a network that is there
// already instead, which others use.
//
// Exported types configure; what runs is unexported behind lab.Lab.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

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
	Run     string // id of the run: labels and names carry it
	Clients int
	Network string         // that is there already, for the clients; empty: one of the lab's own
	Trials  int            // that will be made; each takes a server port
	Arms    []scenario.Arm // that will be applied: their rules and addresses must be nobody else's
	Server  netip.AddrPort // `snatlab serve` on another machine; zero: a server of the lab's own
	Binary  string         // static snatlab binary that the probe image is made of; empty: this one
	Widen   int            // idle rules between NAT and confirmation
	Keep    bool           // Keep may be called: the probes live on when their conversations end
	Journal *undo.Journal
	Say     func(string) // told what is being done; may be nil
}

// Open builds a lab on a host that has passed Preflight. If it fails, whatever
// it made so far is undone.
func Open(ctx context.Context, host *Host, c Config) (_ lab.Keeper, err error) {
	l := &dockerLab{Config: c, host: host, facts: machine.ReadFacts(result.DriverDocker), places: map[string]place{}}
	if l.Say == nil {
		l.Say = func(string) {}
	}
	l.Binary = cmp.Or(l.Binary, thisBinary)
	built := false
	defer func() {
		if !built { // after a panic as well
			err = errors.Join(err, l.Close(undo.Context(ctx)))
		}
	}()
	for _, step := range []func(context.Context) error{l.checkArms, l.findNetwork, l.buildImage, l.watchEngine, l.makeNetworks, l.widen, l.startServer, l.startClients} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	built = true
	return l, nil
}

type dockerLab struct {
	Config
	lab.Probes
	host  *Host
	watch *watch     // of the engine; nil if it has none
	facts result.Env // before anything was built
	image string

	clientNet, serverNet network
	rule                 *nat.Rule

	inServer  *machine.Namespace // nil for a server that is given
	inClients []*machine.Namespace
	places    map[string]place // where containers were put, by id
}

// barrierFile is where clients meet: in the memory of the IPC namespace that
// they share.
const barrierFile = "/dev/shm/snatlab"

func (l *dockerLab) Barrier() string { return barrierFile }

// Clients are the probes; those of Config are their number.
func (l *dockerLab) Clients() []*probe.Client { return l.Probes.Clients() }

// checkArms refuses addresses that are somebody's before anything is made.
func (l *dockerLab) checkArms(ctx context.Context) error {
	return l.host.checkAddresses(ctx, l.sources())
}

// sources lists the addresses that the arms translate to. The lab's own networks
// leave them out.
func (l *dockerLab) sources() (all []netip.Addr) {
	for _, a := range l.Arms {
		all = append(all, a.SNAT.ToSource...)
	}
	return all
}

// Apply puts an arm in force. Its addresses may have become somebody's since the
// lab was opened.
func (l *dockerLab) Apply(ctx context.Context, arm scenario.Arm) (lab.Rule, error) {
	if err := l.host.checkAddresses(ctx, arm.SNAT.ToSource); err != nil {
		return nil, err
	}
	return l.site().Apply(ctx, arm)
}

// site is where arms are applied. The router is this host.
func (l *dockerLab) site() *lab.Site {
	s := &lab.Site{
		Router: func(do func() error) error { return do() },
		Rule:   l.rule, Outgoing: l.serverNet.bridge, Journal: l.Journal,
		Taken: slices.Concat(l.ClientAddresses(), []netip.Addr{l.ServerAddress()}),
	}
	if l.inServer != nil {
		s.Server = l.inServer.Do
	}
	for _, n := range l.inClients {
		s.Clients = append(s.Clients, n.Do)
	}
	return s
}

func (l *dockerLab) Conntrack(context.Context) (conntrack.Snapshot, error) { return conntrack.Read() }

// Shared: the table is the host's.
func (l *dockerLab) Shared() bool { return true }

func (l *dockerLab) Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) ([]map[uint16]string, error) {
	states, err := conntrack.Entries(ctx, l.Connections(server, ports))
	return l.ByClient(states), err
}

func (l *dockerLab) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	return conntrack.Forget(ctx, l.Connections(server, ports))
}

// Close ends the probes and undoes the journal: rules before networks,
// containers before both. A lab that was kept stays.
func (l *dockerLab) Close(ctx context.Context) error {
	if l.Journal.IsKept() {
		return nil
	}
	for _, n := range l.inClients {
		n.Close()
	}
	if l.inServer != nil {
		l.inServer.Close()
	}
	err := l.endClients(ctx)
	ctx = undo.Context(ctx) // with a limit of its own: ending many clients is slow on a busy machine
	err = errors.Join(err, l.HangUp())
	if len(l.Journal.Steps()) > 0 {
		l.host.await(ctx, l.Say)
	}
	return errors.Join(err, l.Journal.Close(ctx), l.watch.close())
}

// fewClients is how many clients may end at the same moment. When those of 32 or
// 64 did on a busy machine, all at once or four at a time, Docker 20.10 lost count
// of the endpoints of their network now and then (see endpoints.go). So of more
// clients, each one ends when the engine is done with the one before it.
const fewClients = 4

// endTime bounds the wait for one client's container to end, on a machine that has
// ten times as much to do as it has CPUs.
const endTime = 20 * time.Second

// endAllTime bounds the wait for all of them.
const endAllTime = 5 * time.Minute

// endClients hangs up on the clients. It waits no more once a container has not
// ended: that one is stopped, or the engine is gone.
func (l *dockerLab) endClients(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endAllTime)
	defer cancel()
	var errs []error
	oneByOne := len(l.Clients()) > fewClients && !l.Config.Keep // to be kept, they would live on
	for i, c := range l.Clients() {
		errs = append(errs, c.Close())
		oneByOne = oneByOne && l.host.awaitEnd(ctx, l.containerName(fmt.Sprintf("client-%d", i)))
	}
	return errors.Join(errs...)
}

// awaitEnd waits for a container to end and to be taken off its network, and
// reports whether it was. Docker says that it has ended before it takes it off,
// and holds the container's lock until then, which the inspection needs
// (handleContainerExit, daemon/monitor.go).
func (h *Host) awaitEnd(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	ended, failed := h.docker.ContainerWait(ctx, name, container.WaitConditionNotRunning)
	select {
	case <-ended:
		_, err := h.docker.ContainerInspect(ctx, name)
		return err == nil || cerrdefs.IsNotFound(err)
	case err := <-failed:
		return cerrdefs.IsNotFound(err) // somebody removed it
	}
}

// watchEngine opens the watch. Where events cannot be had there is none, and an
// engine that was away and is back is not noticed.
func (l *dockerLab) watchEngine(ctx context.Context) error {
	l.watch, _ = l.host.openWatch(ctx)
	return nil
}

func (l *dockerLab) Environment() result.Env {
	env := l.facts
	env.CPUs = len(l.Clients()[0].Hello.CPUs)
	env.Docker, env.Firewall = &l.host.info.ServerVersion, new(l.host.backend())
	env.NAT, env.Iptables = result.NATIPTables, new(l.rule.Tables().Version())
	env.SharedNetwork = l.Network
	env.ClientNetwork, env.Server = l.clientNet.subnet.String(), l.ServerAddress().String()
	env.Widened, env.Sysctls = l.Widen, machine.ReadRaceSysctls()
	if s, err := conntrack.Read(); err == nil {
		env.ConntrackMax = &s.Max
	}
	return env
}

// widen makes the window of the race wider, for the clients' packets only.
func (l *dockerLab) widen(ctx context.Context) error {
	if l.Widen == 0 {
		return nil
	}
	l.Say(fmt.Sprintf("adding %d idle rules", l.Widen))
	return nftables.Widen(ctx, l.Journal, l.clientNet.subnet, l.Widen)
}

// startServer starts the lab's own server, or finds the one that is given.
func (l *dockerLab) startServer(ctx context.Context) error {
	if l.Server.IsValid() {
		l.Say(fmt.Sprintf("calling the server at %v", l.Server))
		return l.callServer(ctx)
	}
	l.Say("starting the server")
	stream, at, err := l.start(ctx, containerSpec{name: "server", role: probe.RoleServer, network: l.serverNet, ipc: "private"})
	if err != nil {
		return err
	}
	server, err := probe.OpenServer(ctx, stream)
	if err == nil {
		l.SetServer(server, at.address)
		l.inServer = at.inside
	}
	return err
}

// callServer connects to `snatlab serve`.
func (l *dockerLab) callServer(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp4", l.Server.String())
	if err != nil {
		return fmt.Errorf("call the server at %v: %w (run `snatlab serve` there)", l.Server, err)
	}
	server, err := probe.OpenServer(ctx, probe.Stream{
		Name: fmt.Sprintf("server at %v", l.Server), In: conn, Out: conn, Close: conn.Close,
	})
	if err != nil {
		return err
	}
	server.KeepAwake()
	l.SetServer(server, l.Server.Addr())
	p := server.Hello.Ports
	if p == nil || int(p.Last)-int(p.First)+1 < l.Trials {
		return fmt.Errorf("the server at %v has too few ports: each of %d trials takes one (snatlab serve --ports %d)", l.Server, l.Trials, l.Trials)
	}
	return nil
}

// startClients starts the clients. The first one's IPC namespace is the one
// that all share.
func (l *dockerLab) startClients(ctx context.Context) error {
	ipc := "shareable"
	for i := range l.Config.Clients {
		l.Say(fmt.Sprintf("starting client %d of %d", i+1, l.Config.Clients))
		stream, at, err := l.start(ctx, containerSpec{name: fmt.Sprintf("client-%d", i), role: probe.RoleClient, network: l.clientNet, ipc: ipc})
		if err != nil {
			return err
		}
		c, err := probe.OpenClient(ctx, stream)
		if err != nil {
			return err
		}
		l.AddClient(c, at.address)
		l.inClients = append(l.inClients, at.inside)
		ipc = "container:" + l.containerName("client-0")
	}
	return nil
}
