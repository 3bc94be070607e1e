package netns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
)

// reexecuted marks, in the environment, a program that Reexec started. Its
// value is the descriptor that takes the exit code of one that stays.
const reexecuted = "SNATLAB_USERNS"

// statusFD is that descriptor.
const statusFD = 3

// Privileged tells whether this process can make namespaces by itself.
func Privileged() bool { return checkPrivilege().State == lab.Met }

func checkPrivilege() lab.Precondition {
	return lab.CheckPrivilege(map[int]string{unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN"})
}

// inUserNamespace tells whether this process has a user namespace with one user
// in it, as Reexec makes them.
func inUserNamespace() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	fields := strings.Fields(string(text))
	return err == nil && len(fields) == 3 && fields[2] == "1"
}

// Reexec runs this program again, with the arguments given, in new user, mount
// and network namespaces, where it is privileged, and gives its exit code. The
// user there is root by name only: towards everything outside it is the one
// that it was.
//
// The program ends when this one does, however that ends. Signals that ask this
// one to end are passed on.
func Reexec(args ...string) (code int, err error) {
	if _, again := os.LookupEnv(reexecuted); again {
		// Ubuntu lets users make the namespace, and then denies what it is for.
		return 0, forbidden("/proc", checkPrivilege().Found+" in a user namespace of its own")
	}
	status, statusW, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer status.Close()
	cmd := exec.Command(thisBinary, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{statusW}
	cmd.Env = append(os.Environ(), reexecuted+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	// The signal is sent when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	err = cmd.Start()
	statusW.Close()
	if err != nil {
		return 0, forbidden("/proc", err.Error())
	}
	go pass(signals, cmd.Process)
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

// pass passes signals on. Those of a terminal go to both processes anyway; a
// second one does no harm.
func pass(signals <-chan os.Signal, to *os.Process) {
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

// Stay gives the process that called Reexec the exit code, which ends it, and
// stays in the background, with all that this process holds, until it is killed.
// It has to be called by the process' first thread.
func Stay(code int) error {
	if os.Getenv(reexecuted) == "" || unix.Gettid() != os.Getpid() {
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

// forbidden says why there is no user namespace to be had, as far as the
// settings under proc tell, and what else can be done.
func forbidden(proc, found string) error {
	const instead = "run as root (sudo), or use --driver docker"
	for _, s := range []struct{ setting, forbids, remedy string }{
		{"kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1",
			"sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for this program"},
		{"user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"},
		{"user/max_net_namespaces", "0", "sysctl user.max_net_namespaces=10000"},
		{"user/max_mnt_namespaces", "0", "sysctl user.max_mnt_namespaces=10000"},
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
	if filtered(proc) {
		return fmt.Errorf("make a user namespace: %s: a seccomp filter, as containers have it, may forbid it (--security-opt seccomp=unconfined; or %s)", found, instead)
	}
	return fmt.Errorf("make a user namespace: %s (%s)", found, instead)
}

// filtered tells whether a seccomp filter looks at this process' system calls.
func filtered(proc string) bool {
	status, err := os.ReadFile(proc + "/self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t2")
}
