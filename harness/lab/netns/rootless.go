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

// reexecuted is the environment variable of a program that Reexec started.
const reexecuted = "SNATLAB_USERNS"

// lockByNamespace is the environment variable with the file that iptables-legacy
// locks. An ordinary user may not open /run/xtables.lock. Every user may open the file
// of the network namespace that iptables runs in. The lock protects the rules of that
// namespace, so labs do not share it. For root the variable is not set: iptables locks
// the same file as in any `ip netns exec`.
const lockByNamespace = "XTABLES_LOCKFILE=/proc/self/ns/net"

// statusFD is the descriptor for the exit code of a program that stays.
const statusFD = 3

// IsReexecuted reports whether Reexec started this process.
func IsReexecuted() bool { return os.Getenv(reexecuted) != "" }

// IsPrivileged reports whether this process can make namespaces by itself.
func IsPrivileged() bool { return checkPrivilege().State == machine.Met }

func checkPrivilege() machine.Precondition {
	return machine.CheckPrivilege(unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN)
}

// isMapped reports whether this process' user namespace has a user of that number.
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

// Reexec runs this program again with the given arguments, in a new user and a new
// network namespace, where it is privileged, and returns its exit code. The user
// there is root by name only: outside of the namespace it is the same user as before.
//
// The program ends when this one does, however that ends. The given signals, which
// ask this program to end, are forwarded.
func Reexec(signals []os.Signal, args ...string) (code int, err error) {
	if IsReexecuted() {
		// Ubuntu lets users make the namespace, and then denies its privileges.
		return 0, explainForbidden("/proc", checkPrivilege().Found+" in a user namespace of its own", os.Geteuid() == 0)
	}
	status, statusW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer status.Close()
	// A program that may stay must not hold the files that this process inherited.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // Linux 5.11
	cmd := exec.Command(lab.ThisBinary, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{statusW}
	// A crash of Go's runtime must end the program by SIGABRT, not with status 2, from
	// its start. The user's own variables come later, and have precedence.
	cmd.Env = append(append([]string{"GOTRACEBACK=crash", lockByNamespace}, os.Environ()...), reexecuted+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	// Pdeathsig is sent when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	asked := make(chan os.Signal, 8)
	if len(signals) > 0 { // Notify without signals would take all of them
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

// forwardSignals forwards signals. A terminal sends its signals to both processes
// anyway; a second signal does no harm.
func forwardSignals(signals <-chan os.Signal, to *os.Process) {
	for s := range signals {
		_ = to.Signal(s)
	}
}

// readStatus waits for the exit code of a program that stays, or for the program's
// end.
func readStatus(from io.Reader) (code int, stays bool) {
	b := make([]byte, 1)
	_, err := io.ReadFull(from, b)
	return int(b[0]), err == nil
}

// StayInBackground sends the exit code to the process that called Reexec, which ends
// that process. Then it stays in the background, with everything that this process
// holds, until it is killed. The process' first thread must call it.
func StayInBackground(code int) error {
	if !IsReexecuted() || unix.Gettid() != os.Getpid() {
		return errors.New("stay in the background: the caller is not the first thread of a process that Reexec started")
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("stay in the background: prctl: %w", err)
	}
	_, _ = unix.Setsid() // the terminal's end must not end it; fails for the leader of a group
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("stay in the background: %w", err)
	}
	for fd := range 3 {
		if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
			return fmt.Errorf("stay in the background: dup: %w", err)
		}
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	status := os.NewFile(statusFD, "status")
	if _, err := status.Write([]byte{byte(code)}); err != nil {
		return fmt.Errorf("stay in the background: %w", err)
	}
	status.Close()
	<-end
	return nil
}

// explainForbidden returns an error with the reason why no user namespace can be made,
// as far as the settings under proc show it, and with what else can be done.
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

// hasSeccompFilter reports whether a seccomp filter checks this process' system calls.
func hasSeccompFilter(proc string) bool {
	status, err := os.ReadFile(proc + "/self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t2")
}
