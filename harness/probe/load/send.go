// Package load is what a probe does in a client of a lab: it sends the requests of a
// trial, and reports their outcome.
//
// In lockstep, clients follow a common schedule of turns and slots. They meet at a gate
// before each slot, and connect at the moment when it opens. The gate is a barrier in
// memory that they share, or else the clock. The ephemeral pattern connects as ordinary
// clients do.
package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Send checks a load, sends it, and returns its report. The client may run on the CPUs
// and open as many files as given.
//
// It calls announce, unless that is nil, if requests are unanswered when all have been
// sent, and again when their number has changed. When ctx has ended, it gives them up.
func Send(ctx context.Context, load probe.ClientLoad, cpus []int, files int, announce func(probe.Waiting) error) (*probe.Report, error) {
	if err := checkLoad(&load, len(cpus)); err != nil {
		return nil, err
	}
	if load.Lockstep != nil {
		return sendLockstep(ctx, load, cpus, files, announce)
	}
	return sendEphemeral(ctx, load, files, announce)
}

// TryBarrier returns an error if this client cannot map the file of the barrier.
func TryBarrier(file string) error {
	if err := checkBarrier(file); err != nil {
		return err
	}
	b, err := lockstep.OpenBarrier(file, 0, 0, lockstep.Pacer{}, nil, nil)
	if err != nil {
		return err
	}
	return b.Close()
}

// maxPath bounds the path of a barrier, in bytes.
const maxPath = 1 << 10

// checkLoad returns an error for a load that no controller sends to a client with so
// many CPUs.
func checkLoad(l *probe.ClientLoad, cpus int) error {
	switch {
	case !isServer(l.Server):
		return fmt.Errorf("server %v: not an address with a port", l.Server)
	case l.Requests < 1 || l.Requests > probe.MaxRequests:
		return fmt.Errorf("%d requests: out of range", l.Requests)
	case l.Timeout <= 0 || l.Timeout > time.Minute:
		return fmt.Errorf("a timeout of %d ns: out of range", l.Timeout)
	case l.Rate < 0 || l.Rate > 1_000_000:
		return fmt.Errorf("a rate of %d a second: out of range", l.Rate)
	case l.Concurrency < 0 || l.Concurrency > probe.MaxRequests:
		return fmt.Errorf("%d requests at once: out of range", l.Concurrency)
	case l.Hold < 0 || l.Hold > time.Minute || (l.Hold > 0 || l.Close != "") && l.Protocol == result.UDP:
		return fmt.Errorf("a connection that stays open for %d ns with protocol %.60q: out of range", l.Hold, l.Protocol)
	case !slices.Contains([]string{"", result.CloseReset, result.CloseFIN, result.CloseFINServer}, l.Close):
		return fmt.Errorf("a close by %.60q: unknown", l.Close)
	}
	threads := 1
	if of := l.Lookups; of != nil {
		if threads = of.Threads; threads < 1 || threads > 2 {
			return fmt.Errorf("look-ups from %s: out of range", format.Plural(threads, "thread", "threads"))
		}
		if l.Lockstep == nil || l.Protocol != result.UDP {
			return errors.New("look-ups are made in lockstep, over UDP")
		}
	}
	if l.Lockstep == nil {
		return nil
	}
	if c := l.Lockstep.Control; c != nil && c.Server.Addr().BitLen() != l.Server.Addr().BitLen() {
		return fmt.Errorf("control: server %v: not of the family of %v", c.Server, l.Server)
	}
	return checkLockstep(l.Lockstep, l.Requests, cpus/threads)
}

// checkLockstep returns an error for a part in lockstep that no controller sends.
func checkLockstep(s *probe.LockstepPart, requests, cpus int) error {
	switch {
	case s.Clients < 1 || s.Clients > scenario.MaxClients || s.Client < 0 || s.Client >= s.Clients || s.CPUs < 1 || s.CPUs > cpus:
		return fmt.Errorf("lockstep of client %d of %d on %d of %s: out of range", s.Client, s.Clients, s.CPUs, format.Plural(cpus, "CPU", "CPUs"))
	case s.Clients*requests > probe.MaxRequests:
		return fmt.Errorf("%d requests of each of %d clients: out of range", requests, s.Clients)
	case !s.Ports.Valid():
		return fmt.Errorf("source ports %d to %d: out of range", s.Ports.First, s.Ports.Last)
	case s.Epoch >= 1<<32:
		return fmt.Errorf("epoch %d: out of range", s.Epoch)
	case s.Start < 0 || s.Start-probe.MonotonicTime() > int64(time.Hour):
		return fmt.Errorf("start at %d ns: out of range", s.Start)
	case s.Barrier != "":
		if err := checkBarrier(s.Barrier); err != nil {
			return err
		}
	}
	return checkControl(s.Control)
}

// isServer reports whether an address can be that of a server. An IPv4 address is not
// written as one of IPv6.
func isServer(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().Is4In6() && a.Addr().Zone() == ""
}

// checkControl returns an error for a control that no controller sends.
func checkControl(c *probe.ControlPart) error {
	switch {
	case c == nil:
		return nil
	case !isServer(c.Server):
		return fmt.Errorf("control: server %v: not an address with a port", c.Server)
	case c.Every < 1 || c.Every > lockstep.TurnLength:
		return fmt.Errorf("control: a slot after every %d: out of range", c.Every)
	case !c.Ports.Valid():
		return fmt.Errorf("control: source ports %d to %d: out of range", c.Ports.First, c.Ports.Last)
	case len(c.Delays) > scenario.MaxClients:
		return fmt.Errorf("control: %d delays: out of range", len(c.Delays))
	}
	for _, delay := range c.Delays {
		if delay < 0 || delay > probe.MaxDelay {
			return fmt.Errorf("control: a delay of %d ns: out of range", delay)
		}
	}
	return nil
}

// checkBarrier returns an error for a path that no controller chooses for a barrier.
func checkBarrier(file string) error {
	if fd, ok := strings.CutPrefix(file, lockstep.InheritedFiles); ok {
		if n, err := strconv.Atoi(fd); err != nil || n < 3 || strconv.Itoa(n) != fd {
			return fmt.Errorf("barrier %.60q: not an inherited file", file)
		}
		return nil
	}
	if !path.IsAbs(file) || path.Clean(file) != file || len(file) > maxPath {
		return fmt.Errorf("barrier %.60q: not a full path", file)
	}
	for _, kernels := range []string{"/proc/", "/sys/", "/dev/"} {
		if strings.HasPrefix(file, kernels) && path.Dir(file) != "/dev/shm" {
			return fmt.Errorf("barrier %.60q: not allowed in this directory", file)
		}
	}
	return nil
}
