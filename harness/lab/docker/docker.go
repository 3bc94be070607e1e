// Package docker builds the lab from containers, through the Docker API.
//
// Two bridge networks: the clients on one, the server on the other, so that
// every connection passes the masquerade rule that Docker itself wrote for
// the clients' network. Docker keeps bridges apart from each other; two rules
// in DOCKER-USER, between exactly these two bridges, let the lab's packets
// through. NAT and conntrack are the host's own.
//
// The engine may be Podman: podman.go says what differs.
//
// If the scenario names a network that exists already, and that other containers
// use, the clients are on that network instead.
//
// Exported types configure; what runs is unexported behind lab.Lab.
package docker

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"snatlab/harness/lab"
	"snatlab/harness/lab/docker/presence"
	"snatlab/harness/nat"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Config is what a lab is built from.
type Config struct {
	Run      string // id of the run: labels and names carry it
	Clients  int
	Protocol string             // of the load: result.TCP or result.UDP; empty: TCP
	Network  string             // an existing one for the clients; empty: one of the lab's own
	Trials   int                // of the run; each takes a server port
	Control  bool               // the lab has a control, which takes a server port as well
	Arms     []scenario.Arm     // of the run: nothing else may use their rules and addresses
	Server   netip.AddrPort     // `snatlab serve` on another machine; zero: a server of the lab's own
	Accept   scenario.PortRange // source ports that the lab's own server accepts; zero: all
	Backends int                // of the service that the clients connect to; 0: they connect to the server
	Binary   string             // static snatlab binary that the probe image is made of; empty: this one
	Widen    lab.IdleRules
	Keep     bool // Keep may be called: the probes stay when their sessions end
	Journal  *undo.Journal
	Say      func(string) // reports what is being done; may be nil
}

// Open builds a lab on a host that has passed Preflight. If it fails, whatever
// it made so far is undone.
func Open(ctx context.Context, host *Host, c Config) (lab.Keeper, error) {
	l := newDockerLab(host, c)
	makeService := func(ctx context.Context) error { return l.MakeService(ctx, l.clientNet.subnet, c.Backends) }
	err := lab.BuildLab(ctx, l.Close, l.checkArms, l.findNetwork, l.loadImage, l.watchEngine, l.makeNetworks, l.addIdleRules, l.startProbes, l.awaitAddresses, makeService, l.findByEffect)
	if err != nil {
		return nil, err
	}
	return l, nil
}

type dockerLab struct {
	lab.Base
	config Config
	host   *Host
	watch  *presence.Watch // of the engine; nil if it has none
	image  string

	clientNet, serverNet labNetwork
	unusual              *nat.NoRuleError // why Docker's rule was not found by its text; nil: it was

	starting sync.Mutex                // containers are started side by side: guards the journal and places
	places   map[string]containerPlace // of the running containers, by id
	first    firstClient
}

// firstClient is the client whose IPC namespace the others join. They can be made once
// it is made, and started once it runs.
type firstClient struct{ made, running chan struct{} }

// barrierFile is the file of the barrier, in the memory of the IPC namespace that
// the clients share.
const barrierFile = "/dev/shm/snatlab"

// newDockerLab returns a lab of which nothing is built. Its router is this host.
func newDockerLab(host *Host, c Config) *dockerLab {
	c.Binary = cmp.Or(c.Binary, lab.ThisBinary)
	l := &dockerLab{Base: lab.NewBase(result.DriverDocker, c.Say), config: c, host: host, places: map[string]containerPlace{}, first: firstClient{made: make(chan struct{}), running: make(chan struct{})}}
	l.Router = func(do func() error) error { return do() }
	l.Journal, l.BarrierFile, l.SharedTable, l.WithControl = c.Journal, barrierFile, true, c.Control
	l.Protocol, l.Accept = cmp.Or(c.Protocol, result.TCP), c.Accept
	l.Facts.Docker, l.Facts.Firewall = &host.info.ServerVersion, new(host.backendName())
	if host.isPodman() {
		l.Facts.Engine = result.EnginePodman
	}
	l.Facts.NAT, l.Facts.SharedNetwork = result.NATIPTables, c.Network
	if host.usesNFTables() {
		l.Facts.NAT = result.NATNFTables
	}
	return l
}

// checkArms returns an error if another program uses an address of the arms, before
// anything is made.
func (l *dockerLab) checkArms(ctx context.Context) error {
	return l.host.checkAddresses(ctx, l.listArmAddresses())
}

// listArmAddresses lists the addresses that the arms translate to. The lab's own
// networks leave them out.
func (l *dockerLab) listArmAddresses() (all []netip.Addr) {
	for _, a := range l.config.Arms {
		all = append(all, a.SNAT.ToSource...)
	}
	return all
}

// Apply puts an arm in force. It checks the addresses of the arm again: another
// program may have taken them since the lab was opened.
func (l *dockerLab) Apply(ctx context.Context, arm scenario.Arm) (lab.ArmRule, error) {
	if err := l.host.checkAddresses(ctx, arm.SNAT.ToSource); err != nil {
		return nil, err
	}
	return l.Base.Apply(ctx, arm)
}

// Close ends the probes and undoes the journal: rules before networks,
// containers before both. It does nothing to a lab that was kept.
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
	return errors.Join(err, l.Journal.Close(ctx), l.watch.Close())
}

// fewClients is how many clients may end at the same moment. When 32 or 64 clients
// ended on a busy machine, all at once or four at a time, Docker 20.10 sometimes
// lost count of the endpoints of their network (see endpoints.go). So if there are
// more clients, each one ends after the engine has dealt with the one before it.
const fewClients = 4

// endTime bounds the wait for one client's container to end, on a machine that has
// ten times as much to do as it has CPUs.
const endTime = 20 * time.Second

// endAllTime bounds the wait for all of them.
const endAllTime = 5 * time.Minute

// endClients hangs up on the clients. It stops waiting after one container that has
// not ended: that container is paused, or the engine is gone.
func (l *dockerLab) endClients(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endAllTime)
	defer cancel()
	var errs []error
	oneByOne := len(l.Clients()) > fewClients && !l.config.Keep // to be kept, they would live on
	for i, c := range l.Clients() {
		errs = append(errs, c.Close())
		oneByOne = oneByOne && l.host.awaitEnd(ctx, l.containerName(lab.ClientName(i)))
	}
	return errors.Join(errs...)
}

// awaitEnd waits until a container has ended and is off its network, and reports
// whether that happened. Docker reports the end before it disconnects the container,
// and holds the container's lock until then. The inspection needs that lock, so it
// returns after the disconnection (handleContainerExit, daemon/monitor.go).
func (h *Host) awaitEnd(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	ended, failed := h.docker.ContainerWait(ctx, name, container.WaitConditionNotRunning)
	select {
	case <-ended:
		_, err := h.docker.ContainerInspect(ctx, name)
		return err == nil || cerrdefs.IsNotFound(err)
	case err := <-failed:
		return cerrdefs.IsNotFound(err) // another program removed it
	}
}

// watchEngine opens the watch. An engine that offers no events has no watch: its
// restart is not noticed.
func (l *dockerLab) watchEngine(ctx context.Context) error {
	l.watch, _ = l.host.openWatch(ctx)
	return nil
}

// addIdleRules makes the window of the race wider, for the clients' packets only.
func (l *dockerLab) addIdleRules(ctx context.Context) error {
	return l.AddIdleRules(ctx, l.clientNet.subnet, l.config.Widen)
}

// startProbes starts the server and the clients side by side.
func (l *dockerLab) startProbes(ctx context.Context) error {
	steps := []func(context.Context) error{l.startServer, l.startClients}
	return lab.DoSideBySide(ctx, len(steps), len(steps), func(ctx context.Context, i int) error { return steps[i](ctx) })
}

// awaitAddresses waits until the addresses of the router can be used.
func (l *dockerLab) awaitAddresses(ctx context.Context) error {
	if l.clientNet.subnet.Addr().Is4() {
		return nil
	}
	return errors.Join(lab.AwaitAddresses(ctx, l.Router, l.clientNet.bridge), lab.AwaitAddresses(ctx, l.Router, l.serverNet.bridge))
}

// startServer starts the lab's own server, or calls the one of the scenario.
func (l *dockerLab) startServer(ctx context.Context) error {
	if l.config.Server.IsValid() {
		return l.CallServer(ctx, lab.RemoteServer{Address: l.config.Server, Trials: l.config.Trials, Control: l.config.Control})
	}
	err := l.StartServer(ctx, func(ctx context.Context) (lab.StartedProbe, error) {
		return l.startContainer(ctx, containerSpec{name: lab.ServerName, role: probe.RoleServer, network: l.serverNet, ipc: "private"})
	})
	if err != nil {
		return err
	}
	return l.FilterServer(ctx)
}

// startClients starts the clients. All of them share the IPC namespace of the
// first one.
func (l *dockerLab) startClients(ctx context.Context) error {
	return l.StartClients(ctx, l.config.Clients, func(ctx context.Context, i int) (lab.StartedProbe, error) {
		spec := containerSpec{name: lab.ClientName(i), role: probe.RoleClient, network: l.clientNet, ipc: sharedIPC}
		if i > 0 {
			spec.ipc = joinedIPC + l.containerName(lab.ClientName(0))
		}
		return l.startContainer(ctx, spec)
	})
}
