package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
)

// barrierFD is the number that the first inherited file has in a probe.
const barrierFD = 3

// somaxconn is the accept queue of the server: with the lowest priority there
// is, it may be a whole trial behind.
const somaxconn = "32768"

// nobody is whom probes run as where there is more than one user.
const nobody = 65534

// node is a namespace with a probe in it. The namespace is the probe's own, and
// ends with it.
type node struct {
	place
	cmd   *exec.Cmd
	space netns.NsHandle
	in    *os.File // its standard input
	out   *os.File // its standard output
	words *lab.LastWords
	ended chan struct{} // closed when the process is no more
}

// start makes a node and gives the stream to its probe.
func (l *netnsLab) start(ctx context.Context, p place, role string) (probe.Stream, error) {
	n := &node{place: p, words: &lab.LastWords{}, ended: make(chan struct{}), space: netns.None()}
	l.nodes = append(l.nodes, n)
	if err := n.launch(l, role); err != nil {
		return probe.Stream{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	err := l.router.connect(p, n.space)
	if err == nil && role == probe.RoleServer {
		err = l.router.in(n.space, func() error { return sysctl("net/core/somaxconn", somaxconn) })
	}
	if err != nil {
		return probe.Stream{}, fmt.Errorf("connect %s: %w", p.name, err)
	}
	return probe.Stream{
		Name: strings.ReplaceAll(p.name, "-", " "), In: n.out, Out: n.in,
		Close: n.end, Obituary: n.obituary,
	}, ctx.Err()
}

// launch starts the probe. It is a child of the router's thread, and is killed
// when that ends: it cannot outlive this process.
func (n *node) launch(l *netnsLab, role string) error {
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

	cmd := exec.Command(l.Binary, "probe", role)
	cmd.Args[0] = "snatlab"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, n.words
	cmd.ExtraFiles = []*os.File{l.barrier}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL, Setpgid: true}
	if !inUserNamespace() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := l.router.do(cmd.Start); err != nil {
		return err
	}
	n.cmd = cmd
	go func() {
		_ = cmd.Wait() // how it ended stands in ProcessState
		close(n.ended)
	}()
	if n.space, err = netns.GetFromPid(cmd.Process.Pid); err != nil {
		return fmt.Errorf("open its network namespace: %w", err)
	}
	return nil
}

// grace bounds how long a probe may take to see that it is not needed any more.
const grace = 5 * time.Second

// end ends the probe, and waits until it is no more. It may be called again.
func (n *node) end() error {
	var errs []error
	for _, f := range []*os.File{n.in, n.out} {
		if f == nil {
			continue
		}
		if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if n.cmd != nil {
		select {
		case <-n.ended:
		case <-time.After(grace):
			_ = n.cmd.Process.Kill()
			<-n.ended
		}
	}
	if n.space.IsOpen() {
		errs = append(errs, n.space.Close())
	}
	return errors.Join(errs...)
}

// obituary says how the probe ended, and what it said last.
func (n *node) obituary() string {
	select {
	case <-n.ended:
		return n.words.After(n.cmd.ProcessState.String()) // "exit status 3", "signal: killed"
	case <-time.After(grace): // the stream can end a moment before the process does
		return n.words.After("still running")
	}
}
