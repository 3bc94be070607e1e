// Package agent is the probe's side of the protocol: it executes the orders of a
// controller with the packages load and server.
//
// A controller drives an [Agent] over the standard streams of the probe's process
// ([ServeStdio]), or over TCP, where a [RunServer] serves one run after the other.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load"
	"snatlab/harness/probe/server"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/network"
)

// Agent is the probe's side of the protocol.
type Agent struct {
	Role  string
	Ports *scenario.PortRange // that a server may listen on; nil: all

	Address netip.Addr // that a server listens on; zero: all

	// Guests are the networks that a server accepts connections from. It resets
	// others. Nil: the networks of labs.
	Guests []netip.Prefix

	// Admit is called at the first greeting of a server's controller. Its error is the
	// answer and ends the session. Nil admits every controller.
	Admit func() error

	// Attached is set for a probe that runs before its controller is connected. It says
	// hello when it is greeted: what it wrote before would be lost.
	Attached bool

	// AfterOrder is called after an order was received and its controller admitted,
	// before the order is answered. It may be nil.
	AfterOrder func()

	cpus        []int
	files       int
	open        *server.Listener
	lowPriority *bool // whether the first listener accepted at the lowest priority
	admitted    bool
}

// Serve answers the requests that it reads from in, until in ends. A request that
// fails is answered with its error. Serve returns an error only if a stream breaks,
// or if a message cannot be that of a controller: such a message is answered as well.
func (a *Agent) Serve(in io.Reader, out io.Writer) error {
	var err error
	if a.cpus, err = allowedCPUs(); err != nil {
		return err
	}
	if a.files, err = raiseFileLimit(); err != nil {
		return err
	}
	defer a.closePorts()
	answers := json.NewEncoder(out)
	orders := readOrders(in)
	defer orders.stop()
	if a.Attached {
		if ended, err := awaitGreeting(orders, answers); ended || err != nil {
			return err
		}
	}
	hello := &probe.Hello{Role: a.Role, CPUs: a.cpus, Files: a.files, Ports: a.Ports}
	if a.Role == probe.RoleClient {
		hello.LocalPorts = localPorts()
	}
	err = answers.Encode(probe.Message{V: probe.Version, Hello: hello})
	if err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	for {
		line, err := orders.next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, probe.ErrLongLine):
			return sendRefusal(answers, err)
		case err != nil:
			return err
		}
		request, refusal := probe.ParseMessage(line)
		if refusal == nil && a.Role == probe.RoleServer {
			refusal = a.admitController(request)
		}
		if refusal != nil {
			return sendRefusal(answers, refusal)
		}
		if a.AfterOrder != nil {
			a.AfterOrder()
		}
		if request.End != nil && a.Role == probe.RoleClient {
			continue // of a load that has ended by itself
		}
		answer, err := a.answerOrder(request, orders, answers)
		answer.V = probe.Version
		if err != nil {
			answer = probe.Message{V: probe.Version, Error: err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

// awaitGreeting waits for the first order, which must be a greeting. It reports whether
// the stream has ended instead.
func awaitGreeting(orders *orders, answers *json.Encoder) (ended bool, err error) {
	line, err := orders.next()
	if err == io.EOF {
		return true, nil
	}
	if err == nil {
		err = CheckGreeting(line)
	}
	if err != nil {
		return false, sendRefusal(answers, err)
	}
	return false, nil
}

// CheckGreeting returns an error for a line that is not a greeting.
func CheckGreeting(line []byte) error {
	first, err := probe.ParseMessage(line)
	if err == nil && first.Greet == nil {
		err = errUngreeted
	}
	return err
}

// errUngreeted ends the session with a peer that does not greet first.
var errUngreeted = errors.New("a server accepts orders only after a greeting")

// admitController returns an error for a controller that does not greet first, or that
// Admit refuses.
func (a *Agent) admitController(first probe.Message) error {
	switch {
	case a.admitted:
		return nil
	case first.Greet == nil:
		return errUngreeted
	case a.Admit != nil:
		if err := a.Admit(); err != nil {
			return err
		}
	}
	a.admitted = true
	return nil
}

// sendRefusal answers with the reason why the session ends.
func sendRefusal(answers *json.Encoder, refusal error) error {
	_ = answers.Encode(probe.Message{V: probe.Version, Error: refusal.Error()}) // best effort: the session ends either way
	return refusal
}

// answerOrder executes one order and returns its answer. Announcements of a load go to
// answers before.
func (a *Agent) answerOrder(m probe.Message, orders *orders, answers *json.Encoder) (probe.Message, error) {
	switch {
	case m.Greet != nil && a.Role == probe.RoleServer:
		return probe.Message{Ready: &probe.Ready{}}, nil
	case m.Share != nil && a.Role == probe.RoleClient:
		return probe.Message{Shared: &probe.Shared{}}, load.TryBarrier(m.Share.Barrier)
	case m.Run != nil && a.Role == probe.RoleClient:
		report, err := a.sendLoad(*m.Run, orders, answers)
		return probe.Message{Report: report}, err
	case m.Listen != nil && a.Role == probe.RoleServer:
		return a.openPorts(*m.Listen)
	case m.Finish != nil && a.Role == probe.RoleServer:
		served, err := a.closePorts()
		return probe.Message{Served: served}, err
	}
	return probe.Message{}, fmt.Errorf("a %s cannot answer this request", a.Role)
}

// openPorts opens the server port of a trial, and that of its control.
func (a *Agent) openPorts(order probe.Listen) (probe.Message, error) {
	if a.open != nil {
		return probe.Message{}, errors.New("a port is open already")
	}
	err := a.checkPort(order.Port)
	if err == nil && order.Control != 0 {
		if err = a.checkPort(order.Control); err != nil {
			err = fmt.Errorf("control: %w", err)
		}
	}
	if err == nil && order.Control == order.Port {
		err = fmt.Errorf("control: port %d is that of the trial", order.Control)
	}
	if err != nil {
		return probe.Message{}, err
	}
	address := a.Address
	if order.IPv6 && !address.IsValid() {
		address = netip.IPv6Unspecified()
	}
	if order.IPv6 != address.Is6() {
		return probe.Message{}, fmt.Errorf("listen on %v: not an address of the lab's family", address)
	}
	config := server.Config{
		Protocol: order.Protocol, DNS: order.DNS, Address: netip.AddrPortFrom(address, order.Port), Control: order.Control,
		Guests: a.guestsOrLab(), Files: a.files, LowPriority: a.lowPriority, Hold: order.Hold, Close: order.Close,
	}
	if a.open, err = server.OpenListener(config); err == nil {
		a.lowPriority = &a.open.LowPriority // the same in all trials, whatever queue an arm sets
	}
	return probe.Message{Ready: &probe.Ready{}}, err
}

// checkPort returns an error for a port that the server may not listen on.
func (a *Agent) checkPort(port uint16) error {
	if p := a.Ports; p != nil && (port < p.First || port > p.Last) {
		return fmt.Errorf("port %d is not one of %d to %d", port, p.First, p.Last)
	}
	if port == 0 {
		return errors.New("port 0 is not allowed: it is any port")
	}
	return nil
}

// guestsOrLab returns the networks that the server accepts connections from.
func (a *Agent) guestsOrLab() []netip.Prefix {
	if a.Guests == nil {
		return []netip.Prefix{network.LabsIPv4, network.LabsIPv6}
	}
	return a.Guests
}

// closePorts closes the server ports, and returns what was counted.
func (a *Agent) closePorts() (*probe.Served, error) {
	if a.open == nil {
		return nil, errors.New("no port is open")
	}
	served, err := a.open.Finish()
	a.open = nil
	return served, err
}
