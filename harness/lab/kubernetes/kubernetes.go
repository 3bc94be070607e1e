// Package kubernetes builds the lab from Pods of a cluster, through its API.
//
//	node N:  client-0, client-1, ... ── the node's own NAT ──▶ node M: server
//	         agent (host network)
//
// The clients are Pods on one node, so that they share its conntrack table and can meet.
// The server is a Pod on another node, or `snatlab serve` outside the cluster: what
// matters is that the node translates the clients' connections on their way. Whether it
// does, and by which rules, depends on the cluster's network. So the rules are found by
// their effect: connections are sent, and the rules that counted them are the rules (see
// package nat/effect). Where none counts, the run ends before anything is measured.
//
// # The agent
//
// What other drivers do on this machine, the agent does on the node: a Pod in the node's
// network namespace, which runs the same program. See package lab/router, which also says
// when it restores the node. The controller asks the API for Pods and attaches to their
// standard streams; it opens no other connection to the cluster.
//
// # What is changed
//
// In the cluster: a namespace of the run and Pods, and a Service if the scenario has a service
// address, all with the label of the run. They are deleted at the end; what a killed controller leaves, `snatlab cleanup --driver
// kubernetes` deletes. The Pods of clients and server end by themselves when their
// controller is gone, since their standard input ends then.
//
// On the node: what the agent journals under /run/snatlab there. If the agent dies without
// having confirmed that the node is restored, Close starts another one, which replays the
// journal.
//
// # Who may do what
//
// Clients and server need nothing: no capability, not root, nothing to write to, seccomp
// RuntimeDefault. They pass PodSecurity "restricted", but for the folder of the barrier
// (see pods.go). The agent needs the host's network, CAP_NET_ADMIN, and the node's file
// system for its iptables programs: PodSecurity "privileged".
//
// Exported types configure; what runs is unexported behind lab.Lab.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"snatlab/harness/lab"
	"snatlab/harness/lab/router"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Config is what a lab is built from.
type Config struct {
	Run        string // id of the run: labels and names carry it
	What       string // of the run, for others who want the node
	Namespace  string // an existing one; empty: one of the run's own
	Node       string // of the clients; empty: a ready one
	Image      string
	PullPolicy string // "IfNotPresent", "Always" or "Never"
	Clients    int
	Protocol   string // of the load: result.TCP or result.UDP
	Trials     int    // of the run; each takes a server port
	Control    bool
	Entries    int            // room in the conntrack table that the run needs
	Service    bool           // the clients connect to the ClusterIP of a Service of the run
	Server     netip.AddrPort // `snatlab serve` outside the cluster; zero: a Pod on another node
	Barrier    bool           // the clients may meet in shared memory
	Arms       []scenario.Arm
	Widen      lab.IdleRules
	Say        func(string) // reports what is being done; may be nil
}

// Open builds a lab in a cluster. If it fails, whatever it made so far is undone.
func Open(ctx context.Context, cluster *Cluster, c Config) (lab.Keeper, error) {
	l := newKubernetesLab(cluster, c)
	err := lab.BuildLab(ctx, l.Close, l.chooseNodes, l.makeNamespace, l.startAgent, l.startClients, l.startServer, l.makeService, l.findRules, l.addIdleRules)
	if err != nil {
		return nil, err
	}
	return l, nil
}

type kubernetesLab struct {
	lab.Sessions
	*router.Session // of the agent; nil before it is started
	config          Config
	cluster         *Cluster
	namespace       string       // of the Pods; empty before it exists
	ownNamespaces   []string     // that the run made: one, or another one after that was deleted
	node            *corev1.Node // of the clients
	serverNode      string       // empty: the server is outside the cluster
	serverRunning   *corev1.Pod  // nil: the server is outside the cluster
	backend         netip.Addr   // address of the server behind a Service
	nodeFacts       router.Opened
	noBarrier       string // why the clients cannot share memory; empty if they can
	agents          int    // started so far
	restored        bool   // the node is as it was
	closed          bool
}

func newKubernetesLab(cluster *Cluster, c Config) *kubernetesLab {
	l := &kubernetesLab{Sessions: lab.NewSessions(c.Say), config: c, cluster: cluster, restored: true}
	l.WithControl, l.Protocol = c.Control, c.Protocol
	return l
}

// startAgent starts the agent and begins the run on its node.
func (l *kubernetesLab) startAgent(ctx context.Context) (err error) {
	l.Say("starting the agent on node " + l.node.Name)
	if l.Session, err = l.connectAgent(ctx); err != nil {
		return err
	}
	l.restored = false
	l.nodeFacts, err = l.Session.Open(ctx, router.OpenOrder{
		Run: l.config.Run, What: l.config.What, Entries: l.config.Entries, Barrier: l.config.Barrier, Arms: l.config.Arms, Protocol: l.config.Protocol,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", l.node.Name, err)
	}
	for _, what := range l.nodeFacts.Undone {
		l.Say(fmt.Sprintf("left on node %s by a run that crashed, and undone: %s", l.node.Name, what))
	}
	l.noBarrier = l.nodeFacts.NoBarrier
	return nil
}

// startClients starts the clients, with the folder of the barrier if they may have it.
func (l *kubernetesLab) startClients(ctx context.Context) error {
	if l.config.Barrier && l.noBarrier == "" {
		if err := l.tryBarrier(ctx); err != nil {
			l.noBarrier = err.Error()
		}
	}
	if l.config.Barrier && l.noBarrier == "" {
		l.BarrierFile = barrierFile
	}
	return l.StartClients(ctx, l.config.Clients, func(ctx context.Context, i int) (lab.StartedProbe, error) {
		return l.startProbe(ctx, l.clientPod(i))
	})
}

// startServer starts the lab's own server, or calls the one of the scenario.
func (l *kubernetesLab) startServer(ctx context.Context) error {
	if l.config.Server.IsValid() {
		return l.CallServer(ctx, lab.RemoteServer{Address: l.config.Server, Trials: l.config.Trials, Control: l.config.Control})
	}
	return l.StartServer(ctx, func(ctx context.Context) (p lab.StartedProbe, err error) {
		p, l.serverRunning, err = l.startPod(ctx, l.serverPod(l.listGuests()))
		return p, err
	})
}

// listGuests lists the addresses that connections reach the server from: those of the
// node, and those of clients that are not translated.
func (l *kubernetesLab) listGuests() (all []netip.Prefix) {
	_, clients := l.Addresses()
	for _, a := range slices.Concat(l.nodeFacts.Addresses, clients) {
		if !a.IsLoopback() {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}

func (l *kubernetesLab) addIdleRules(ctx context.Context) error {
	if l.config.Widen.Number == 0 {
		return nil
	}
	l.Say(fmt.Sprintf("adding %d idle rules", l.config.Widen.Number))
	return l.Session.AddIdleRules(ctx, l.config.Widen)
}

// Environment returns the facts of the node and of the cluster.
func (l *kubernetesLab) Environment() result.Env {
	server, clients := l.Addresses()
	env := l.Session.Facts(context.Background())
	info := l.node.Status.NodeInfo
	env.Driver, env.CPUs, env.Server = result.DriverKubernetes, len(l.Clients()[0].Hello.CPUs), server.String()
	env.Service = l.describeService()
	env.ClientNetwork = describeAddresses(clients)
	env.NAT = l.Session.Writer()
	env.Kubernetes = &result.Kubernetes{
		Version: info.KubeletVersion, Runtime: info.ContainerRuntimeVersion, OS: info.OSImage,
		Node: l.node.Name, ServerNode: l.serverNode, Rules: l.Session.RuleTexts(), DrawsPorts: l.Session.DrawsPorts(), NoBarrier: l.noBarrier,
	}
	return env
}

// describeAddresses returns the addresses of the clients.
func describeAddresses(clients []netip.Addr) string {
	first, last := slices.MinFunc(clients, netip.Addr.Compare), slices.MaxFunc(clients, netip.Addr.Compare)
	if first == last {
		return first.String()
	}
	return fmt.Sprintf("%v-%v", first, last)
}

// Shared returns true: other Pods of the node use its conntrack table.
func (l *kubernetesLab) Shared() bool { return true }

// InsertControl inserts the rule of the control.
func (l *kubernetesLab) InsertControl(ctx context.Context, ports scenario.PortRange) error {
	err := l.Session.InsertControl(ctx, ports)
	if err == nil {
		l.SetControlled()
	}
	return err
}

// MonotonicTime returns CLOCK_MONOTONIC of the node.
func (l *kubernetesLab) MonotonicTime(ctx context.Context) (int64, error) {
	return l.Session.MonotonicTime(ctx)
}

// HangUp ends the sessions with clients and server.
func (l *kubernetesLab) HangUp() error { return l.Sessions.HangUp() }

// Keep is refused: the agent restores the node when its controller is gone.
func (l *kubernetesLab) Keep(context.Context) (*lab.Kept, error) {
	return nil, errors.New("a lab of driver kubernetes cannot be kept: its node is restored when its controller is gone")
}

// Close ends the Pods and restores the node, and then deletes what the run made in the
// cluster. It may be called again.
func (l *kubernetesLab) Close(ctx context.Context) error {
	if l.closed {
		return nil
	}
	ctx = undo.Context(ctx)
	err := l.HangUp()
	if left := l.restoreNode(ctx); left != nil {
		// The Pods stay: their end would be taken for that of the run's changes.
		return errors.Join(err, left)
	}
	if deleted := l.deleteObjects(ctx); deleted != nil {
		return errors.Join(err, deleted)
	}
	l.closed = true
	return err
}

// deleteObjects deletes what the run made in the cluster.
func (l *kubernetesLab) deleteObjects(ctx context.Context) error {
	var errs []error
	if l.config.Namespace != "" {
		errs = append(errs, l.cluster.deleteRun(ctx, l.config.Namespace, l.config.Run, false))
	}
	for _, name := range l.ownNamespaces {
		errs = append(errs, l.cluster.deleteRun(ctx, name, l.config.Run, true))
	}
	return errors.Join(errs...)
}

var _ lab.Keeper = (*kubernetesLab)(nil)

// probeRoles maps the parts of a lab to the roles of their probes.
var probeRoles = map[string]string{partClient: probe.RoleClient, partServer: probe.RoleServer, partAgent: probe.RoleRouter}
