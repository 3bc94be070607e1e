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
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"snatlab/harness/lab"
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
	Say     func(string) // reports what is being done; may be nil
}

// Open builds a lab on a host that has passed Preflight. If it fails, whatever
// it made so far is undone.
func Open(ctx context.Context, host *Host, c Config) (lab.Keeper, error) {
	l := newDockerLab(host, c)
	err := lab.BuildLab(ctx, l.Close, l.checkArms, l.findNetwork, l.buildImage, l.watchEngine, l.makeNetworks, l.addIdleRules, l.startServer, l.startClients)
	if err != nil {
		return nil, err
	}
	return l, nil
}

type dockerLab struct {
	lab.Base
	config Config
	host   *Host
	watch  *engineWatch // of the engine; nil if it has none
	image  string

	clientNet, serverNet labNetwork
	places               map[string]containerPlace // where containers were put, by id
}

// barrierFile is where clients meet: in the memory of the IPC namespace that
// they share.
const barrierFile = "/dev/shm/snatlab"

// newDockerLab returns a lab of which nothing is built. Its router is this host.
func newDockerLab(host *Host, c Config) *dockerLab {
	c.Binary = cmp.Or(c.Binary, lab.ThisBinary)
	l := &dockerLab{Base: lab.NewBase(result.DriverDocker, c.Say), config: c, host: host, places: map[string]containerPlace{}}
	l.Router = func(do func() error) error { return do() }
	l.Journal, l.BarrierFile, l.SharedTable = c.Journal, barrierFile, true
	l.Facts.Docker, l.Facts.Firewall = &host.info.ServerVersion, new(host.backendName())
	l.Facts.NAT, l.Facts.SharedNetwork, l.Facts.Widened = result.NATIPTables, c.Network, c.Widen
	return l
}

// checkArms refuses addresses that are somebody's before anything is made.
func (l *dockerLab) checkArms(ctx context.Context) error {
	return l.host.checkAddresses(ctx, l.listArmAddresses())
}

// listArmAddresses lists the addresses that the arms translate to. The lab's own networks
// leave them out.
func (l *dockerLab) listArmAddresses() (all []netip.Addr) {
	for _, a := range l.config.Arms {
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
	return l.Base.Apply(ctx, arm)
}

// Close ends the probes and undoes the journal: rules before networks,
// containers before both. A lab that was kept stays.
func (l *dockerLab) Close(ctx context.Context) error {
	if l.Journal.IsKept() {
		return nil
	}
	for _, p := range l.places {
		if p.inside != nil {
			p.inside.Close()
		}
	}
	err := l.endClients(ctx)
	ctx = undo.Context(ctx) // with a limit of its own: ending many clients is slow on a busy machine
	err = errors.Join(err, l.HangUp())
	if len(l.Journal.Steps()) > 0 {
		l.host.awaitEngine(ctx, l.Say)
	}
	return errors.Join(err, l.Journal.Close(ctx), l.watch.closeWatch())
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
	oneByOne := len(l.Clients()) > fewClients && !l.config.Keep // to be kept, they would live on
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

// addIdleRules makes the window of the race wider, for the clients' packets only.
func (l *dockerLab) addIdleRules(ctx context.Context) error {
	if l.config.Widen == 0 {
		return nil
	}
	l.Say(fmt.Sprintf("adding %d idle rules", l.config.Widen))
	return nftables.WidenWindow(ctx, l.Journal, l.clientNet.subnet, l.config.Widen)
}

// startServer starts the lab's own server, or finds the one that is given.
func (l *dockerLab) startServer(ctx context.Context) error {
	if l.config.Server.IsValid() {
		l.Say(fmt.Sprintf("calling the server at %v", l.config.Server))
		return l.callServer(ctx)
	}
	return l.StartServer(ctx, func(ctx context.Context) (lab.StartedProbe, error) {
		return l.startContainer(ctx, containerSpec{name: "server", role: probe.RoleServer, network: l.serverNet, ipc: "private"})
	})
}

// callServer connects to `snatlab serve`.
func (l *dockerLab) callServer(ctx context.Context) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp4", l.config.Server.String())
	if err != nil {
		return fmt.Errorf("call the server at %v: %w (run `snatlab serve` there)", l.config.Server, err)
	}
	server, err := probe.OpenServer(ctx, probe.Stream{
		Name: fmt.Sprintf("server at %v", l.config.Server), In: conn, Out: conn, Close: conn.Close,
	})
	if err != nil {
		return err
	}
	server.KeepAwake()
	l.SetServer(server, l.config.Server.Addr())
	p := server.Hello.Ports
	if p == nil || int(p.Last)-int(p.First)+1 < l.config.Trials {
		return fmt.Errorf("the server at %v has too few ports: each of %d trials takes one (snatlab serve --ports %d)", l.config.Server, l.config.Trials, l.config.Trials)
	}
	return nil
}

// startClients starts the clients. All of them share the IPC namespace of the
// first one.
func (l *dockerLab) startClients(ctx context.Context) error {
	return l.StartClients(ctx, l.config.Clients, func(ctx context.Context, i int) (lab.StartedProbe, error) {
		ipc := "shareable"
		if i > 0 {
			ipc = "container:" + l.containerName("client-0")
		}
		return l.startContainer(ctx, containerSpec{name: fmt.Sprintf("client-%d", i), role: probe.RoleClient, network: l.clientNet, ipc: ipc})
	})
}
