package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/scenario"
)

// CheckSysctls looks whether this kernel lets the arms of a scenario set their
// sysctls, before anything is built. Those of namespaces are set in a new one,
// which ends with the check. Those of the host are opened for writing, and not
// written. It needs CAP_SYS_ADMIN.
func CheckSysctls(s *scenario.Scenario) Precondition {
	p := Precondition{Name: "sysctls", Remedy: "see /proc/sys/net for those that this kernel has, or take it out of the scenario"}
	n := 0
	for _, arm := range s.Arms {
		for _, part := range []struct {
			name string
			set  []scenario.Sysctl
			host bool
		}{
			{"router", arm.Sysctls.Router, s.Driver == scenario.Docker},
			{"server", arm.Sysctls.Server, false},
			{"clients", arm.Sysctls.Clients, false},
		} {
			n += len(part.set)
			if err := trySysctls(part.set, part.host); err != nil {
				p.State, p.Found = Unmet, fmt.Sprintf("arm %s, sysctls.%s: %v", arm.Name, part.name, err)
				return p
			}
		}
	}
	p.Found = fmt.Sprintf("%d can be set", n)
	return p
}

// trySysctls sets sysctls in a new network namespace; those of the host it only
// looks at.
func trySysctls(all []scenario.Sysctl, host bool) error {
	if len(all) == 0 {
		return nil
	}
	try := func() error {
		for _, s := range all {
			if err := trySysctl(s, host); err != nil {
				return err
			}
		}
		return nil
	}
	if host {
		return try()
	}
	return inFreshNamespace(try)
}

// trySysctl looks whether a sysctl of the calling thread's namespace is there and
// may be written, and what it makes of the value.
func trySysctl(s scenario.Sysctl, host bool) error {
	at := withInterface(s.Name)
	file, err := os.OpenFile(sysctlPath(at), os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) && host:
		return fmt.Errorf("%s: this machine has no such sysctl", s.Name)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no network namespace of this machine has such a sysctl", s.Name)
	case errors.Is(err, fs.ErrPermission) && host:
		return fmt.Errorf("%s: it cannot be read and set here: %w (this program runs in a container, or not in the machine's first network namespace?)", s.Name, errors.Unwrap(err))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: it cannot be read and set in a network namespace: %w", s.Name, errors.Unwrap(err))
	case err != nil:
		return err
	}
	file.Close()
	if host {
		return nil
	}
	_, err = replaceSysctl(at, s.Value)
	return err
}

// withInterface replaces an interface that the calling thread's namespace does not
// have by the loopback interface, which has the same settings: a lab's interfaces
// are not there yet.
func withInterface(name string) string {
	words := strings.Split(name, ".")
	if len(words) < 5 || words[2] != "conf" && words[2] != "neigh" {
		return name
	}
	if _, err := os.Stat(sysctlPath(strings.Join(words[:4], "."))); err == nil {
		return name
	}
	words[3] = "lo"
	return strings.Join(words, ".")
}

// inFreshNamespace does something in a new network namespace, which ends with it.
func inFreshNamespace(do func() error) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, homeErr := netns.Get()
		if err = homeErr; err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer home.Close()
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = do()
		} else {
			err = fmt.Errorf("make a network namespace: %w", err)
		}
		if back := netns.Set(home); back != nil {
			err = errors.Join(err, back)
			return // the thread ends with its goroutine
		}
		runtime.UnlockOSThread()
	}()
	<-done
	return err
}
