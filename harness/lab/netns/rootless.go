package netns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
)

// reexecuted marks, in the environment, a program that Reexec started.
const reexecuted = "SNATLAB_USERNS"

// lockByNamespace is the environment variable that tells iptables-legacy which
// file to lock. An ordinary user may not open /run/xtables.lock. The file of the
// network namespace that iptables runs in is there for everybody, and the rules
// that the lock protects are that namespace's: labs do not share it. For root
// the variable is not set: iptables locks what it locks in any `ip netns exec`.
const lockByNamespace = "XTABLES_LOCKFILE=/proc/self/ns/net"

// statusFD is the descriptor that takes the exit code of one that stays.
const statusFD = 3

// IsReexecuted tells whether Reexec started this process.
func IsReexecuted() bool { return os.Getenv(reexecuted) != "" }

// IsPrivileged tells whether this process can make namespaces by itself.
func IsPrivileged() bool { return checkPrivilege().State == machine.Met }

func checkPrivilege() machine.Precondition {
	return machine.CheckPrivilege(unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN)
}

// isMapped tells whether this process' user namespace has a user of that number.
func isMapped(user uint64) bool {
	text, _ := os.ReadFile("/proc/self/uid_map")
	for line := range strings.Lines(string(text)) {
		var first, outside, count uint64
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && first <= user && user-first < count {
			return true
		}
	}
	return false
}

// Reexec runs this program again, with the arguments given, in a new user and a
// new network namespace, where it is privileged, and gives its exit code. The
// user there is root by name only: towards everything outside it is the one
// that it was.
//
// The program ends when this one does, however that ends. The signals given,
// which ask this one to end, are passed on.
func Reexec(signals []os.Signal, args ...string) (code int, err error) {
	if IsReexecuted() {
		// Ubuntu lets users make the namespace, and then denies what it is for.
		return 0, explainForbidden("/proc", checkPrivilege().Found+" in a user namespace of its own", os.Geteuid() == 0)
	}
	status, statusW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer status.Close()
	// What this process was given is not for one that may stay.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11
	cmd := exec.Command(lab.ThisBinary, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{statusW}
	// A crash of Go's runtime is to end it by SIGABRT, not with status 2, from its
	// first moment on. What the user has set comes last, and counts.
	cmd.Env = append(append([]string{"GOTRACEBACK=crash", lockByNamespace}, os.Environ()...), reexecuted+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	// The signal is sent when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	asked := make(chan os.Signal, 8)
	if len(signals) > 0 { // none would be all
		signal.Notify(asked, signals...)
	}
	err = cmd.Start()
	statusW.Close()
	if err != nil {
		signal.Stop(asked)
		return 0, explainForbidden("/proc", err.Error(), os.Geteuid() == 0)
	}
	var wait sync.WaitGroup
	wait.Go(func() { forwardSignals(asked, cmd.Process) })
	defer func() {
		signal.Stop(asked)
		close(asked)
		wait.Wait()
	}()
	if code, stays := readStatus(status); stays {
		return code, nil
	}
	err = cmd.Wait()
	if exited := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exited) {
		return 0, err
	}
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// forwardSignals passes signals on. Those of a terminal go to both processes anyway; a
// second one does no harm.
func forwardSignals(signals <-chan os.Signal, to *os.Process) {
	for s := range signals {
		_ = to.Signal(s)
	}
}

// readStatus waits for the exit code of a program that stays, or for its end.
func readStatus(from io.Reader) (code int, stays bool) {
	b := make([]byte, 1)
	_, err := io.ReadFull(from, b)
	return int(b[0]), err == nil
}

// StayInBackground gives the process that called Reexec the exit code, which ends it, and
// stays in the background, with all that this process holds, until it is killed.
// It has to be called by the process' first thread.
func StayInBackground(code int) error {
	if !IsReexecuted() || unix.Gettid() != os.Getpid() {
		return errors.New("stay: not the first thread of a program that was started again")
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("stay: prctl: %w", err)
	}
	_, _ = unix.Setsid() // the terminal's end is not ours; fails for who leads a group
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("stay: %w", err)
	}
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("stay: dup: %w", err)
		}
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	status := os.NewFile(statusFD, "status")
	if _, err := status.Write([]byte{byte(code)}); err != nil {
		return fmt.Errorf("stay: %w", err)
	}
	status.Close()
	<-end
	return nil
}

// explainForbidden says why there is no user namespace to be had, as far as the
// settings under proc tell, and what else can be done.
func explainForbidden(proc, found string, root bool) error {
	instead := "run as root (sudo), or use --driver docker"
	if root {
		instead = "give this container --privileged, or use the host"
	}
	for _, s := range []struct{ setting, forbids, remedy string }{
		{"kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1",
			"sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for this program"},
		{"user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"},
		{"user/max_net_namespaces", "0", "sysctl user.max_net_namespaces=10000"},
	} {
		value, err := os.ReadFile(proc + "/sys/" + s.setting)
		if err == nil && strings.TrimSpace(string(value)) == s.forbids {
			return fmt.Errorf("make a user namespace: %s: %s is %s (as root: %s; or %s)",
				found, strings.ReplaceAll(s.setting, "/", "."), s.forbids, s.remedy, instead)
		}
	}
	if _, err := os.Stat(proc + "/self/ns/user"); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make a user namespace: %s: this kernel has none (CONFIG_USER_NS; or %s)", found, instead)
	}
	if hasSeccompFilter(proc) {
		return fmt.Errorf("make a user namespace: %s: a seccomp filter, as containers have it, may forbid it (--security-opt seccomp=unconfined --security-opt systempaths=unconfined; or %s)", found, instead)
	}
	return fmt.Errorf("make a user namespace: %s (%s)", found, instead)
}

// hasSeccompFilter tells whether a seccomp filter looks at this process' system calls.
func hasSeccompFilter(proc string) bool {
	status, err := os.ReadFile(proc + "/self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t2")
}
