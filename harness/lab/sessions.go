package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"snatlab/harness/machine"
	"snatlab/harness/probe"
)

// ServerName is the name of the server in the names of a lab's parts.
const ServerName = "server"

// ClientName returns the name of a client in the names of a lab's parts.
func ClientName(i int) string { return fmt.Sprintf("client-%d", i) }

// DescribeProbe returns the name of a probe for people: "client 0".
func DescribeProbe(name string) string { return strings.ReplaceAll(name, "-", " ") }

// Sessions is the part of a [Lab] that talks to its probes. The namespace that translates
// may be on another machine.
type Sessions struct {
	Say         func(string) // reports what is being done; never nil
	BarrierFile string       // all clients can map it; empty if there is none
	WithControl bool         // the lab can have a control
	Protocol    string       // of the load: result.TCP or result.UDP

	clients    []*probe.ClientSession
	addresses  []netip.Addr            // of the clients
	inClients  []machine.NamespaceFunc // enter the clients' namespaces
	server     *probe.ServerSession
	address    netip.Addr            // of the server
	inServer   machine.NamespaceFunc // nil for a server that is not the lab's own
	controlled bool                  // a control was inserted
	lookups    bool                  // the server answers DNS queries
	hold       time.Duration         // that connections stay open
	closes     string                // who closes them, and how
}

// NewSessions returns a lab's part that has no probe yet. Say may be nil.
func NewSessions(say func(string)) Sessions {
	if say == nil {
		say = func(string) {}
	}
	var one sync.Mutex // steps that run side by side report as well
	return Sessions{Say: func(text string) {
		one.Lock()
		defer one.Unlock()
		say(text)
	}}
}

// StartedProbe is a probe that a driver has started.
type StartedProbe struct {
	Stream  probe.Stream
	Address netip.Addr            // its address in the lab
	Space   machine.NamespaceFunc // enters its namespace
}

// StartServer starts the lab's own server by a call of start.
func (s *Sessions) StartServer(ctx context.Context, start func(context.Context) (StartedProbe, error)) error {
	s.Say("starting the server")
	p, err := start(ctx)
	if err != nil {
		return err
	}
	server, err := probe.OpenServer(ctx, p.Stream)
	if err == nil {
		s.SetServer(server, p.Address)
		s.inServer = p.Space
	}
	return err
}

// RemoteServer is `snatlab serve` on another machine, and the ports that a run needs of it.
type RemoteServer struct {
	Address netip.AddrPort
	Trials  int  // of the run; each takes a server port
	Control bool // the lab has a control, which takes a server port as well
}

// CallServer connects to a server outside the lab and makes it the lab's.
func (s *Sessions) CallServer(ctx context.Context, at RemoteServer) error {
	s.Say(fmt.Sprintf("calling the server at %v", at.Address))
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp4", at.Address.String())
	if err != nil {
		return fmt.Errorf("call the server at %v: %w (run `snatlab serve` there)", at.Address, err)
	}
	server, err := probe.OpenServer(ctx, probe.Stream{
		Name: fmt.Sprintf("server at %v", at.Address), In: conn, Out: conn, Close: conn.Close,
	})
	if err != nil {
		return err
	}
	server.KeepAwake()
	s.SetServer(server, at.Address.Addr())
	needed, each := at.Trials, fmt.Sprintf("each of %d trials takes one", at.Trials)
	if at.Control {
		needed, each = needed+1, each+", and their control another"
	}
	if p := server.Hello.Ports; p == nil || p.Len() < needed {
		return fmt.Errorf("the server at %v has too few ports: %s (snatlab serve --ports %d)", at.Address, each, needed)
	}
	return nil
}

// SetServer makes a session the server of the lab, at this address.
func (s *Sessions) SetServer(session *probe.ServerSession, address netip.Addr) {
	s.server, s.address = session, address
}

// clientsAtOnce is how many clients are started side by side.
const clientsAtOnce = 4

// StartClients starts n clients side by side, each by a call of start with the client's
// index. They begin in this order, so a client may wait for the first one.
func (s *Sessions) StartClients(ctx context.Context, n int, start func(context.Context, int) (StartedProbe, error)) error {
	probes, opened := make([]StartedProbe, n), make([]*probe.ClientSession, n)
	open := func(ctx context.Context, i int) (err error) {
		s.Say(fmt.Sprintf("starting client %d of %d", i+1, n))
		if probes[i], err = start(ctx, i); err == nil {
			opened[i], err = probe.OpenClient(ctx, probes[i].Stream)
		}
		return err
	}
	err := DoSideBySide(ctx, n, clientsAtOnce, open)
	for i, c := range opened {
		if c != nil { // after an error as well: HangUp ends those that run
			s.clients, s.addresses = append(s.clients, c), append(s.addresses, probes[i].Address)
			s.inClients = append(s.inClients, probes[i].Space)
		}
	}
	return err
}

// Clients returns the clients in the order of their indices.
func (s *Sessions) Clients() []*probe.ClientSession { return s.clients }

// Barrier returns BarrierFile.
func (s *Sessions) Barrier() string { return s.BarrierFile }

// Addresses returns the address of the server and those of the clients.
func (s *Sessions) Addresses() (server netip.Addr, clients []netip.Addr) {
	return s.address, s.addresses
}

// SetAddresses sets the addresses of probes that another process talks to.
func (s *Sessions) SetAddresses(server netip.Addr, clients []netip.Addr) {
	s.address, s.addresses = server, clients
}

// SetControlled records that there is a control: each trial has a port for it.
func (s *Sessions) SetControlled() { s.controlled = true }

// MonotonicTime returns CLOCK_MONOTONIC of this machine, where the clients are.
func (s *Sessions) MonotonicTime(context.Context) (int64, error) { return probe.MonotonicTime(), nil }

// firstPort is the server port of the first trial, where all are free.
const firstPort = 20_000

// PortsOf returns the server ports that the trials of a run may have where all are free: one
// for each, and before them that of the control.
func PortsOf(trials int) (first, last int) { return firstPort - 1, firstPort + trials }

// AnswerLookups has the server answer DNS queries in the trials that follow, over UDP and
// over TCP. Before, it returns datagrams as they are.
func (s *Sessions) AnswerLookups() { s.lookups = true }

// commonPort returns the server port that is the same in all trials with a control.
func (s *Sessions) commonPort() uint16 {
	switch ports := s.server.Hello.Ports; {
	case ports == nil:
		return firstPort - 1
	case s.WithControl:
		return ports.First
	default:
		return ports.First - 1
	}
}

// HasControl returns WithControl.
func (s *Sessions) HasControl() bool { return s.WithControl }

// Listen opens the server ports of a trial. With a control, one of the two is the same in
// all trials. Of the ports that a server has for a run it is the first.
func (s *Sessions) Listen(ctx context.Context, trial int, swapped bool) (at ServerPorts, err error) {
	first := int(s.commonPort())
	at.Arm = netip.AddrPortFrom(s.address, uint16(first+1+trial))
	if s.controlled {
		at.Control = netip.AddrPortFrom(s.address, uint16(first))
	}
	if swapped && s.controlled {
		at.Arm, at.Control = at.Control, at.Arm
	}
	return at, s.server.Listen(ctx, probe.Listen{Protocol: s.Protocol, Port: at.Arm.Port(), Control: at.Control.Port(), IPv6: s.address.Is6(), DNS: s.lookups, Hold: s.hold, Close: s.closes})
}

// HoldConnections has the server of later trials keep connections open.
func (s *Sessions) HoldConnections(hold time.Duration, closes string) {
	s.hold, s.closes = hold, closes
}

// ServerFiles returns the number of files that the server may open.
func (s *Sessions) ServerFiles() int { return s.server.Hello.Files }

// Finish closes the ports that are open.
func (s *Sessions) Finish(ctx context.Context) (*probe.Served, error) { return s.server.Finish(ctx) }

// HangUp ends the sessions with the probes.
func (s *Sessions) HangUp() error {
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	return errors.Join(errs...)
}
