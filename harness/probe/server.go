package probe

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// backlog asks for the longest accept queue there is; the kernel cuts it to
// net.core.somaxconn.
const backlog = 65535

// held is the number of accepted connections that stay open. A client resets
// its own within a moment, so those that are closed here are long over, and
// no packet of the server's takes part in the trial.
const held = 512

// listener accepts on one port, for one trial. The handshake is the kernel's;
// accepting only keeps the queue from overflowing, so it is done at the lowest
// priority, when the clients leave a CPU alone.
type listener struct {
	fd       int
	stop     int // eventfd: written to when the trial is over
	before   tcpExt
	accepted uint64 // the accepting goroutine's, until it is done
	done     chan error
}

// listen opens a port on an address; the zero address is all of them.
func listen(address netip.Addr, port uint16) (*listener, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		at := unix.SockaddrInet4{Port: int(port)}
		if address.Is4() {
			at.Addr = address.As4()
		}
		err = unix.Bind(fd, &at)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	stop := -1
	if err == nil {
		stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on port %d: %w", port, err)
	}
	l := &listener{fd: fd, stop: stop, before: readTCPExt(), done: make(chan error, 1)}
	go func() { l.done <- l.accept() }()
	return l, nil
}

// accept runs until it is told to stop and the queue is empty.
func (l *listener) accept() error {
	runtime.LockOSThread() // and never unlocked: the priority is the thread's
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 19)
	var ring [held]int
	next := 0
	defer func() {
		for i := range min(next, held) {
			unix.Close(ring[i])
		}
	}()
	wait := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.stop), Events: unix.POLLIN}}
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			l.accepted++
			if next >= held {
				unix.Close(ring[next%held])
			}
			ring[next%held] = fd
			next++
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			if wait[1].Revents != 0 {
				return nil
			}
			if _, err := unix.Poll(wait, -1); err != nil && err != unix.EINTR {
				return fmt.Errorf("poll: %w", err)
			}
		default:
			return fmt.Errorf("accept: %w", err)
		}
	}
}

// finish accepts what is still queued, closes, and says what was served.
func (l *listener) finish() (*Served, error) {
	if _, err := unix.Write(l.stop, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return nil, fmt.Errorf("stop listener: %w", err)
	}
	err := <-l.done
	unix.Close(l.fd)
	unix.Close(l.stop)
	after := readTCPExt()
	return &Served{
		Accepted:        l.accepted,
		ListenOverflows: difference(l.before, after, "ListenOverflows"),
		ListenDrops:     difference(l.before, after, "ListenDrops"),
	}, err
}

// tcpExt holds the counters of the line TcpExt in /proc/net/netstat, by name.
type tcpExt map[string]uint64

// readTCPExt reads them for this network namespace; empty where there are none.
func readTCPExt() tcpExt {
	file, err := os.Open("/proc/self/net/netstat")
	if err != nil {
		return nil
	}
	defer file.Close()
	var names []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "TcpExt:")
		if !ok {
			continue
		}
		if names == nil {
			names = strings.Fields(rest)
			continue
		}
		counters := tcpExt{}
		for i, text := range strings.Fields(rest) {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil && i < len(names) {
				counters[names[i]] = n
			}
		}
		return counters
	}
	return nil
}

// difference is nil where the kernel has no such counter.
func difference(before, after tcpExt, name string) *uint64 {
	b, hadIt := before[name]
	a, hasIt := after[name]
	if !hadIt || !hasIt {
		return nil
	}
	d := a - b
	return &d
}
