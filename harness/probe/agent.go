package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/scenario"
)

// Agent is the probe's side of the protocol.
type Agent struct {
	Role  string
	Ports *Ports // that a server may listen on; nil: all

	Address netip.Addr // that a server listens on; zero: all

	// Guests are whom a server accepts from; nil: the addresses that labs are
	// made of. Others are reset.
	Guests []netip.Prefix

	// Admit is called at the first greeting of a server's controller; its error
	// is the answer, and ends the conversation. Nil admits everyone.
	Admit func() error

	// Heard is called after each order, before it is answered, and after a
	// controller was admitted. May be nil.
	Heard func()

	cpus     []int
	files    int
	open     *listener
	lowly    *bool // how the first listener accepted
	admitted bool
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
	defer a.finish()
	say := json.NewEncoder(out)
	hello := &Hello{Role: a.Role, CPUs: a.cpus, Files: a.files, Ports: a.Ports}
	if a.Role == RoleClient {
		hello.LocalPorts = localPorts()
	}
	err = say.Encode(message{V: Version, Hello: hello})
	if err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	for line, err := range lines(in, maxOrder) {
		switch {
		case errors.Is(err, errLong):
			return refuse(say, err)
		case err != nil:
			return err
		}
		request, strange := parse(line)
		if strange == nil && a.Role == RoleServer {
			strange = a.admit(request)
		}
		if strange != nil {
			return refuse(say, strange)
		}
		if a.Heard != nil {
			a.Heard()
		}
		answer, err := a.answer(request)
		answer.V = Version
		if err != nil {
			answer = message{V: Version, Error: err.Error()}
		}
		if err := say.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}

// errUngreeted ends a conversation: no controller begins it like that.
var errUngreeted = errors.New("a server takes orders only after a greeting")

// admit returns an error for a controller that does not greet first, and for one
// that the server has no time for.
func (a *Agent) admit(first message) error {
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

// refuse says why the conversation ends.
func refuse(say *json.Encoder, strange error) error {
	_ = say.Encode(message{V: Version, Error: strange.Error()}) // best effort: it is over either way
	return strange
}

// answer does what one message asks for.
func (a *Agent) answer(m message) (message, error) {
	switch {
	case m.Greet != nil && a.Role == RoleServer:
		return message{Ready: &Ready{}}, nil
	case m.Share != nil && a.Role == RoleClient:
		if err := checkBarrier(m.Share.Barrier); err != nil {
			return message{}, err
		}
		b, err := openBarrier(m.Share.Barrier, 0, 0, pacer{}, nil)
		if err != nil {
			return message{}, err
		}
		return message{Shared: &Shared{}}, b.close()
	case m.Run != nil && a.Role == RoleClient:
		if err := m.Run.check(len(a.cpus)); err != nil {
			return message{}, err
		}
		run := runEphemeral
		if m.Run.Lockstep != nil {
			run = func(load Load, files int) (*Report, error) { return runLockstep(load, a.cpus, files) }
		}
		report, err := run(*m.Run, a.files)
		return message{Report: report}, err
	case m.Listen != nil && a.Role == RoleServer:
		return a.listen(m.Listen.Port)
	case m.Finish != nil && a.Role == RoleServer:
		served, err := a.finish()
		return message{Served: served}, err
	}
	return message{}, fmt.Errorf("a %s does not know what to do with this request", a.Role)
}

func (a *Agent) listen(port uint16) (message, error) {
	if a.open != nil {
		return message{}, errors.New("listening already")
	}
	if p := a.Ports; p != nil && (port < p.First || port > p.Last) {
		return message{}, fmt.Errorf("port %d is not one of %d to %d", port, p.First, p.Last)
	}
	if port == 0 {
		return message{}, errors.New("port 0 is any port")
	}
	var err error
	if a.open, err = listen(netip.AddrPortFrom(a.Address, port), a.guests(), a.files, a.lowly); err == nil {
		a.lowly = &a.open.lowly // all trials alike, whatever an arm does to the queue
	}
	return message{Ready: &Ready{}}, err
}

func (a *Agent) guests() []netip.Prefix {
	if a.Guests == nil {
		return []netip.Prefix{scenario.LabAddresses}
	}
	return a.Guests
}

func (a *Agent) finish() (*Served, error) {
	if a.open == nil {
		return nil, errors.New("not listening")
	}
	served, err := a.open.finish()
	a.open = nil
	return served, err
}

// localPorts reads the range of source ports that the kernel chooses from in the
// network namespace of the calling thread. It is nil if that cannot be read.
func localPorts() *Ports {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return nil
	}
	var p Ports
	if _, err := fmt.Sscan(string(text), &p.First, &p.Last); err != nil || !p.valid() {
		return nil
	}
	return &p
}

// allowedCPUs lists the CPUs that this process may run on.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// raiseFileLimit raises the soft limit of open files to the hard one, and
// gives it. Raising the hard one would take a capability that probes drop.
func raiseFileLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
		limit = raised
	}
	return int(min(limit.Cur, maxFiles)), nil
}

// PeakRSS is the most memory that this process had resident so far, in bytes
// (VmHWM, proc(5)); 0 if the kernel does not say. Unlike getrusage(2)'s
// ru_maxrss it does not count the process before exec.
func PeakRSS() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	kib, _, _ := strings.Cut(rest, "kB")
	n, _ := strconv.ParseUint(strings.TrimSpace(kib), 10, 64)
	return n << 10
}
