package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/machine"
	"snatlab/harness/result/watched"
)

// Source is a network namespace whose conntrack is watched. Nothing in it is changed.
type Source struct {
	Target watched.Target
	// enter calls a function in the namespace; nil if this user may not enter it.
	enter machine.NamespaceFunc
	// process is the folder of a process in the namespace, in /proc. Everybody may read
	// the counters there. It is nil for the caller's own namespace.
	process *os.Root
	pid     int // of that process
	handle  netns.NsHandle
	denied  error // why it cannot be entered
}

// Host returns the namespace of the caller.
func Host() *Source {
	return &Source{
		Target: watched.Target{Kind: watched.Host}, handle: netns.None(),
		enter: func(do func() error) error { return do() },
	}
}

// OpenProcess opens the network namespace of a process, or of a thread. Without the
// privilege to enter it, only the counters can be read.
func OpenProcess(pid int) (*Source, error) {
	name := fmt.Sprintf("process %d", pid)
	root, err := os.OpenRoot(fmt.Sprintf("/proc/%d", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no process %d", pid)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	s := &Source{Target: watched.Target{Kind: watched.Net, Name: name}, process: root, pid: pid, handle: netns.None()}
	handle, err := netns.GetFromPid(pid)
	if err != nil {
		s.denied = err
		return s, nil
	}
	s.setHandle(handle)
	return s, nil
}

// OpenFile opens the network namespace that a file stands for: /run/netns/NAME,
// /proc/PID/fd/N.
func OpenFile(path string) (*Source, error) {
	handle, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace %s: %w", path, err)
	}
	s := &Source{Target: watched.Target{Kind: watched.Net, Name: path}, handle: netns.None()}
	s.setHandle(handle)
	if s.enter == nil {
		return nil, errors.Join(fmt.Errorf("enter the network namespace %s: %w (run as root)", path, s.denied), s.Close())
	}
	return s, nil
}

// setHandle makes the namespace one that is entered, if this user may do so.
func (s *Source) setHandle(handle netns.NsHandle) {
	s.handle = handle
	enter := func(do func() error) error { return machine.DoInNamespace(handle, do) }
	if s.denied = enter(func() error { return nil }); s.denied == nil {
		s.enter = enter
	}
}

// Close closes the namespace.
func (s *Source) Close() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.Close())
	}
	if s.handle.IsOpen() {
		errs = append(errs, s.handle.Close())
	}
	return errors.Join(errs...)
}

const (
	statName = "net/stat/nf_conntrack" // below the folder of a process
	maxName  = "/proc/sys/net/netfilter/nf_conntrack_max"
)

// AbsentError is a kernel or a namespace without conntrack.
type AbsentError struct{ cause error }

func (e *AbsentError) Error() string {
	return fmt.Sprintf("conntrack is not active on this machine: %v (the module nf_conntrack is not loaded, so no rule tracks or translates connections)", e.cause)
}

func (e *AbsentError) Unwrap() error { return e.cause }

// read reads the counters, and the limit of the table if the namespace can be entered.
func (s *Source) read() (r conntrack.Reading, limit *uint64, err error) {
	if s.process != nil && !s.isAlive() { // a handle would keep the namespace of a dead process
		return r, nil, s.endedError()
	}
	if s.enter == nil {
		text, err := s.process.ReadFile(statName)
		if err != nil {
			return r, nil, s.explainUnread(err)
		}
		r, err = parseOne(string(text))
		return r, nil, err
	}
	err = s.enter(func() error {
		text, err := os.ReadFile("/proc/thread-self/" + statName)
		switch {
		case err == nil:
			r, err = parseOne(string(text))
		case errors.Is(err, fs.ErrNotExist):
			r, err = readWithoutFile(err)
		}
		limit = readLimit()
		return err
	})
	return r, limit, err
}

// explainUnread explains why the counters of another process cannot be read.
func (s *Source) explainUnread(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, fs.ErrNotExist) && !s.isAlive():
		return s.endedError()
	case errors.Is(err, fs.ErrNotExist):
		return &AbsentError{err}
	}
	return fmt.Errorf("read the counters of %s: %w", s.Target.Name, err)
}

func (s *Source) endedError() error { return fmt.Errorf("process %d has ended", s.pid) }

func (s *Source) isAlive() bool {
	_, err := s.process.Stat("net")
	return err == nil
}

// readWithoutFile reads the counters by ctnetlink, in a kernel without the file
// (CONFIG_NF_CONNTRACK_PROCFS). Without nf_conntrack_netlink the kernel would load that
// module, and a watch loads nothing.
func readWithoutFile(noFile error) (r conntrack.Reading, err error) {
	if readLimit() == nil {
		return r, &AbsentError{noFile}
	}
	if !isLoaded("nf_conntrack_netlink") {
		return r, fmt.Errorf("read conntrack counters: %w, and the module nf_conntrack_netlink is not loaded", noFile)
	}
	return conntrack.ReadByNetlink()
}

func parseOne(text string) (conntrack.Reading, error) {
	all, err := conntrack.ParseText(text)
	if err != nil {
		return conntrack.Reading{}, fmt.Errorf("read conntrack counters: %w", err)
	}
	return all[0], nil
}

// readLimit reads the limit of the table, or returns nil.
func readLimit() *uint64 {
	text, err := os.ReadFile(maxName)
	if err != nil {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// isLoaded reports whether the kernel has a module: loaded, built in, or because it was
// built without modules.
func isLoaded(module string) bool {
	loaded, err := os.ReadFile("/proc/modules")
	if err != nil {
		return true // a kernel without modules
	}
	if strings.HasPrefix(string(loaded), module+" ") || strings.Contains(string(loaded), "\n"+module+" ") {
		return true
	}
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	builtin, err := os.ReadFile("/lib/modules/" + unix.ByteSliceToString(name.Release[:]) + "/modules.builtin")
	return err == nil && strings.Contains(string(builtin), "/"+module+".ko")
}

// KernelRelease returns the release of the running kernel, or an empty text.
func KernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
