package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/probe"
)

// barrierFD is the number that the first inherited file has in a probe.
const barrierFD = 3

// lengthenQueue sets the length of the server's accept queue. Before Linux 6.3 the
// root of a user namespace does not see that sysctl: the queue keeps its length.
func lengthenQueue() error {
	err := machine.WriteSysctl("net.core.somaxconn", lab.AcceptQueue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// node is a namespace with a probe in it. The namespace ends with its probe.
type node struct {
	nodePlace
	cmd    *exec.Cmd
	space  netns.NsHandle // kept open: the id of a process may be used again
	in     *os.File       // its standard input
	out    *os.File       // its standard output
	stderr *lab.StderrTail
	ended  chan struct{} // closed when the process has ended
}

// newNode returns a node that is not started.
func newNode(p nodePlace) *node {
	return &node{nodePlace: p, stderr: &lab.StderrTail{}, ended: make(chan struct{}), space: netns.None()}
}

// startNode starts a node, and connects it to the router. Nodes may be started side by
// side.
func (l *netnsLab) startNode(ctx context.Context, n *node, role string) (lab.StartedProbe, error) {
	p := n.nodePlace
	if err := n.launchProbe(l, role); err != nil {
		return lab.StartedProbe{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	err := l.router.connectNode(ctx, p, n.space)
	if err == nil && role == probe.RoleServer {
		err = n.enter(lengthenQueue)
	}
	if err != nil {
		return lab.StartedProbe{}, fmt.Errorf("connect %s: %w", p.name, err)
	}
	stream := probe.Stream{
		Name: lab.DescribeProbe(p.name), In: n.out, Out: n.in,
		Close: n.hangUp, ExitReason: n.exitReason,
		IsStarved: func() bool { return machine.IsStarved(n.cmd.Process.Pid) },
	}
	return lab.StartedProbe{Stream: stream, Address: p.address.Addr(), Space: n.enter}, ctx.Err()
}

// enter calls do in the node's namespace.
func (n *node) enter(do func() error) error { return machine.DoInNamespace(n.space, do) }

// launchProbe starts the probe in a namespace of its own. The probe is a child of the
// router's thread, and is killed when the thread ends: it cannot outlive this process.
// It inherits its three streams and the barrier, and nothing else.
func (n *node) launchProbe(l *netnsLab, role string) error {
	stdin, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	n.in = in
	out, stdout, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdout.Close()
	n.out = out

	cmd := exec.Command(l.config.Binary, "probe", role)
	cmd.Args[0], cmd.Env = "snatlab", []string{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, n.stderr
	cmd.ExtraFiles = []*os.File{l.barrier}
	// A group of its own: the signals of a terminal are for this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	if canBecome(lab.ProbeUser) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: lab.ProbeUser, Gid: lab.ProbeUser}
	}
	if n.space, err = l.router.startInNew(cmd.Start); err != nil {
		if errors.Is(err, unix.EACCES) && cmd.SysProcAttr.Credential != nil {
			err = fmt.Errorf("%w (it runs as user %d, which must be allowed to execute this program: chmod o+x)", err, lab.ProbeUser)
		}
		return err
	}
	n.cmd = cmd
	go func() {
		_ = cmd.Wait() // ProcessState has the result
		close(n.ended)
	}()
	return nil
}

// canBecome reports whether this process may start another one as a user.
func canBecome(user uint64) bool {
	return isMapped(user) && machine.CheckPrivilege(unix.CAP_SETGID, unix.CAP_SETUID).State == machine.Met
}

// probeEndTime bounds how long probes may take to end after their streams have.
const probeEndTime = 5 * time.Second

// hangUp closes the streams of the probe, which ends it.
func (n *node) hangUp() error {
	var errs []error
	for _, f := range []*os.File{n.in, n.out} {
		if f == nil {
			continue
		}
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// awaitEnd waits until the probe has ended, and kills it when late is closed. Then it
// closes the descriptor of the namespace, which ends the namespace.
func (n *node) awaitEnd(late <-chan time.Time) error {
	if n.cmd != nil {
		select {
		case <-n.ended:
		case <-late:
			_ = n.cmd.Process.Kill()
			<-n.ended
		}
	}
	if n.space.IsOpen() {
		return n.space.Close()
	}
	return nil
}

// exitReason returns how the probe ended, and its last output.
func (n *node) exitReason() string {
	select {
	case <-n.ended:
		return n.stderr.DescribeEnd(n.cmd.ProcessState.String()) // "exit status 3", "signal: killed"
	case <-time.After(probeEndTime): // the stream can end a moment before the process does
		return n.stderr.DescribeEnd("still running")
	}
}
