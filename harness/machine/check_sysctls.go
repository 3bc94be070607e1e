package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
)

// CheckSysctls checks whether this kernel lets the arms of a scenario set their
// sysctls, before anything is built. Sysctls of namespaces are set in a new
// namespace, which ends with the check. Sysctls of the host are opened for
// writing, and not written. CheckSysctls requires CAP_SYS_ADMIN.
func CheckSysctls(s *scenario.Scenario) Precondition {
	p := Precondition{Name: "sysctls", Remedy: "see /proc/sys/net for those that this kernel has, or take it out of the scenario"}
	n := 0
	for _, arm := range s.Arms {
		for _, part := range []struct {
			name string
			set  []sysctl.Setting
			host bool
		}{
			{"router", arm.Sysctls.Router, s.Driver == result.DriverDocker},
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

// trySysctls sets sysctls in a new network namespace. It only opens those of the
// host.
func trySysctls(all []sysctl.Setting, host bool) error {
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
	return doInNewNamespace(try)
}

// trySysctl checks whether a sysctl of the calling thread's namespace exists, may
// be written, and accepts the value.
func trySysctl(s sysctl.Setting, host bool) error {
	at := useLoopback(s.Name)
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
	_, err = ReplaceSysctl(at, s.Value)
	return err
}

// useLoopback replaces an interface that the calling thread's namespace does not
// have by the loopback interface, which has the same settings: a lab's interfaces
// do not exist yet.
func useLoopback(name string) string {
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
