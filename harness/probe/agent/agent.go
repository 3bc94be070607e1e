// Package agent is the probe's side of the protocol: it does what a controller
// asks for with the packages load and server.
//
// A controller drives an [Agent] over the standard streams of the probe's process
// ([ServeStdio]), or over TCP, where one [RunServer] serves one run after the other.
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
)

// Agent is the probe's side of the protocol.
type Agent struct {
	Role  string
	Ports *scenario.PortRange // that a server may listen on; nil: all

	Address netip.Addr // that a server listens on; zero: all

	// Guests are whom a server accepts from; nil: the addresses that labs are
	// made of. Others are reset.
	Guests []netip.Prefix

	// Admit is called at the first greeting of a server's controller; its error
	// is the answer, and ends the conversation. Nil admits everyone.
	Admit func() error

	// AfterOrder is called after each order, before it is answered, and after a
	// controller was admitted. May be nil.
	AfterOrder func()

	cpus        []int
	files       int
	open        *server.Listener
	lowPriority *bool // how the first listener accepted
	admitted    bool
}

// Serve answers the requests that come in on in, until it ends. A request that
// fails is answered with its error. Only a broken stream is an error of Serve,
// and one that says what no controller does: that is answered, and ends it.
func (a *Agent) Serve(in io.Reader, out io.Writer) error {
	var err error
	if a.cpus, err = allowedCPUs(); err != nil {
		return err
	}
	if a.files, err = raiseFileLimit(); err != nil {
		return err
	}
	defer a.closePort()
	say := json.NewEncoder(out)
	hello := &probe.Hello{Role: a.Role, CPUs: a.cpus, Files: a.files, Ports: a.Ports}
	if a.Role == probe.RoleClient {
		hello.LocalPorts = localPorts()
	}
	err = say.Encode(probe.Message{V: probe.Version, Hello: hello})
	if err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	for line, err := range probe.ReadLines(in, probe.MaxOrder) {
		switch {
		case errors.Is(err, probe.ErrLongLine):
			return sendRefusal(say, err)
		case err != nil:
			return err
		}
		request, strange := probe.ParseMessage(line)
		if strange == nil && a.Role == probe.RoleServer {
			strange = a.admitController(request)
		}
		if strange != nil {
			return sendRefusal(say, strange)
		}
		if a.AfterOrder != nil {
			a.AfterOrder()
		}
		answer, err := a.answerOrder(request)
		answer.V = probe.Version
		if err != nil {
			answer = probe.Message{V: probe.Version, Error: err.Error()}
		}
		if err := say.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

// errUngreeted ends a conversation: no controller begins it like that.
var errUngreeted = errors.New("a server takes orders only after a greeting")

// admitController returns an error for a controller that does not greet first, and for one
// that the server has no time for.
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

// sendRefusal says why the conversation ends.
func sendRefusal(say *json.Encoder, strange error) error {
	_ = say.Encode(probe.Message{V: probe.Version, Error: strange.Error()}) // best effort: it is over either way
	return strange
}

// answerOrder does what one message asks for.
func (a *Agent) answerOrder(m probe.Message) (probe.Message, error) {
	switch {
	case m.Greet != nil && a.Role == probe.RoleServer:
		return probe.Message{Ready: &probe.Ready{}}, nil
	case m.Share != nil && a.Role == probe.RoleClient:
		return probe.Message{Shared: &probe.Shared{}}, load.TryBarrier(m.Share.Barrier)
	case m.Run != nil && a.Role == probe.RoleClient:
		report, err := load.Send(*m.Run, a.cpus, a.files)
		return probe.Message{Report: report}, err
	case m.Listen != nil && a.Role == probe.RoleServer:
		return a.openPort(m.Listen.Port)
	case m.Finish != nil && a.Role == probe.RoleServer:
		served, err := a.closePort()
		return probe.Message{Served: served}, err
	}
	return probe.Message{}, fmt.Errorf("a %s does not know what to do with this request", a.Role)
}

func (a *Agent) openPort(port uint16) (probe.Message, error) {
	if a.open != nil {
		return probe.Message{}, errors.New("listening already")
	}
	if p := a.Ports; p != nil && (port < p.First || port > p.Last) {
		return probe.Message{}, fmt.Errorf("port %d is not one of %d to %d", port, p.First, p.Last)
	}
	if port == 0 {
		return probe.Message{}, errors.New("port 0 is any port")
	}
	var err error
	if a.open, err = server.OpenListener(netip.AddrPortFrom(a.Address, port), a.guestsOrLab(), a.files, a.lowPriority); err == nil {
		a.lowPriority = &a.open.LowPriority // all trials alike, whatever an arm does to the queue
	}
	return probe.Message{Ready: &probe.Ready{}}, err
}

func (a *Agent) guestsOrLab() []netip.Prefix {
	if a.Guests == nil {
		return []netip.Prefix{scenario.LabAddresses}
	}
	return a.Guests
}

func (a *Agent) closePort() (*probe.Served, error) {
	if a.open == nil {
		return nil, errors.New("not listening")
	}
	served, err := a.open.Finish()
	a.open = nil
	return served, err
}
