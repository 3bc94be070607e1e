package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Agent is the probe's side of the protocol.
type Agent struct {
	Role  string
	Ports *Ports // that a server may listen on; nil: all

	Address netip.Addr // that a server listens on; zero: all

	cpus  []int
	files int
	open  *listener
}

// Serve answers the requests that come in on in, until it ends. A request that
// fails is answered with its error; only a broken stream is an error of Serve.
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
	err = say.Encode(message{V: Version, Hello: &Hello{Role: a.Role, CPUs: a.cpus, Files: a.files, Ports: a.Ports}})
	if err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	for line := range lines(in, &err) {
		request, err := parse(line)
		answer := message{}
		if err == nil {
			answer, err = a.answer(request)
		}
		answer.V = Version
		if err != nil {
			answer = message{V: Version, Error: err.Error()}
		}
		if err := say.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return err
}

// answer does what one message asks for.
func (a *Agent) answer(m message) (message, error) {
	switch {
	case m.Share != nil && a.Role == RoleClient:
		b, err := openBarrier(m.Share.Barrier, 0, 0, pacer{}, nil)
		if err != nil {
			return message{}, err
		}
		return message{Shared: &Shared{}}, b.close()
	case m.Run != nil && a.Role == RoleClient:
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
	var err error
	a.open, err = listen(a.Address, port, a.files)
	return message{Ready: &Ready{}}, err
}

func (a *Agent) finish() (*Served, error) {
	if a.open == nil {
		return nil, errors.New("not listening")
	}
	served, err := a.open.finish()
	a.open = nil
	return served, err
}

// lines gives the lines of a stream, each no longer than maxLine, and then
// what ended it. The end of the stream is no error.
func lines(in io.Reader, err *error) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		scan := bufio.NewScanner(in)
		scan.Buffer(make([]byte, 0, 4096), maxLine)
		for scan.Scan() {
			if !yield(scan.Bytes()) {
				return
			}
		}
		*err = scan.Err()
	}
}

// parse reads one message.
func parse(line []byte) (m message, err error) {
	if err := json.Unmarshal(line, &m); err != nil {
		return message{}, fmt.Errorf("not a message: %.60q", line)
	}
	if m.V != Version {
		return message{}, fmt.Errorf("protocol version %d, this is %d: both sides must be the same snatlab", m.V, Version)
	}
	return m, nil
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
	return int(min(limit.Cur, 1<<20)), nil
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
