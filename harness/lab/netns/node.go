package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
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

// lengthenQueue sets the length of the server's accept queue. Before Linux 6.3 the root of a user namespace does not
// see that sysctl; the server makes do with what there is.
func lengthenQueue() error {
	err := machine.WriteSysctl("net.core.somaxconn", lab.AcceptQueue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// node is a namespace with a probe in it. The namespace is the probe's own, and
// ends with it.
type node struct {
	nodePlace
	cmd   *exec.Cmd
	space netns.NsHandle // kept open, so that it is known by more than a number of a process
	in    *os.File       // its standard input
	out   *os.File       // its standard output
	words *lab.StderrTail
	ended chan struct{} // closed when the process is no more
}

// startNode makes a node with a probe in it.
func (l *netnsLab) startNode(ctx context.Context, p nodePlace, role string) (lab.StartedProbe, error) {
	n := &node{nodePlace: p, words: &lab.StderrTail{}, ended: make(chan struct{}), space: netns.None()}
	l.nodes = append(l.nodes, n)
	if err := n.launchProbe(l, role); err != nil {
		return lab.StartedProbe{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	err := l.router.connectNode(p, n.space)
	if err == nil && role == probe.RoleServer {
		err = n.enter(lengthenQueue)
	}
	if err != nil {
		return lab.StartedProbe{}, fmt.Errorf("connect %s: %w", p.name, err)
	}
	stream := probe.Stream{
		Name: strings.ReplaceAll(p.name, "-", " "), In: n.out, Out: n.in,
		Close: n.hangUp, ExitReason: n.exitReason,
	}
	return lab.StartedProbe{Stream: stream, Address: p.address.Addr(), Space: n.enter}, ctx.Err()
}

// enter calls do in the node's namespace.
func (n *node) enter(do func() error) error { return machine.DoInNamespace(n.space, do) }

// launchProbe starts the probe in a namespace of its own. It is a child of the
// router's thread, and is killed when that ends: it cannot outlive this process.
// Of what this process has it gets its three streams and the barrier.
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
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, n.words
	cmd.ExtraFiles = []*os.File{l.barrier}
	// A group of its own: what a terminal sends is for this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	if canBecome(lab.ProbeUser) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: lab.ProbeUser, Gid: lab.ProbeUser}
	}
	if n.space, err = l.router.startInNew(cmd.Start); err != nil {
		if errors.Is(err, unix.EACCES) && cmd.SysProcAttr.Credential != nil {
			err = fmt.Errorf("%w (it runs as user %d, who has to be allowed to execute this program: chmod o+x)", err, lab.ProbeUser)
		}
		return err
	}
	n.cmd = cmd
	go func() {
		_ = cmd.Wait() // how it ended stands in ProcessState
		close(n.ended)
	}()
	return nil
}

// canBecome tells whether this process may give another one that user.
func canBecome(user uint64) bool {
	return isMapped(user) && machine.CheckPrivilege(unix.CAP_SETGID, unix.CAP_SETUID).State == machine.Met
}

// probeEndTime bounds how long probes may take to see that they are not needed any more.
const probeEndTime = 5 * time.Second

// hangUp ends the conversation, and with it the probe.
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

// awaitEnd waits until the probe is no more, and kills it if it is too late for
// that. Without the probe and this descriptor the namespace is gone.
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

// exitReason says how the probe ended, and what it said last.
func (n *node) exitReason() string {
	select {
	case <-n.ended:
		return n.words.DescribeEnd(n.cmd.ProcessState.String()) // "exit status 3", "signal: killed"
	case <-time.After(probeEndTime): // the stream can end a moment before the process does
		return n.words.DescribeEnd("still running")
	}
}
