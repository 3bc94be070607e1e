package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// qemuProgram is the program that runs guests.
const qemuProgram = "qemu-system-x86_64"

// FindQEMU returns the path of QEMU.
func FindQEMU() (path string, err error) {
	if runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("guests are x86-64, but this program, which is init in them, is built for %s", runtime.GOARCH)
	}
	path, err = exec.LookPath(qemuProgram)
	if err != nil {
		return "", fmt.Errorf("no %s on this machine (Debian, Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core)", qemuProgram)
	}
	return path, nil
}

// kernelCommandLine returns the command line of the kernel. Every oops ends the kernel,
// and with -no-reboot the machine. The code that unpacks the kernel writes to the
// console only with earlyprintk. Words after the two dashes, and variables before
// them, are for init.
func kernelCommandLine(init Init) string {
	words := append([]string{"console=ttyS0 earlyprintk=ttyS0 tsc=reliable oops=panic panic=-1"}, init.Env...)
	return strings.Join(append(append(words, "--"), init.Args...), " ")
}

// The descriptors that QEMU inherits.
const (
	kernelFD = 3 + iota
	initrdFD
	channelFD
)

// qemuArguments returns the arguments for a machine without a disk, a network or a
// screen. Its only connections are two serial ports.
func qemuArguments(accel string, cpus, memory int, line string) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-kernel", fdPath(kernelFD), "-initrd", fdPath(initrdFD), "-append", line,
		"-chardev", "file,id=console,path=" + fdPath(1), "-serial", "chardev:console",
		"-chardev", "file,id=channel,path=" + fdPath(channelFD), "-serial", "chardev:channel",
	}
	if accel == KVM {
		return append(args, "-accel", "kvm", "-cpu", "host")
	}
	// QEMU 7.2 emulates cmpxchg16b so that it returns wrong flags, which crashes
	// Linux 6.12.
	return append(args, "-accel", "tcg,thread=multi", "-cpu", "max,cx16=off")
}

// fdPath returns the path of a descriptor, which needs no file on the disk.
func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// qemuProcess is a running machine.
type qemuProcess struct {
	process *os.Process
	console *console
	stderr  *console      // the standard error of QEMU
	channel *os.File      // the frames of the guest
	ended   chan struct{} // closed when the process has ended
	err     error         // the exit status, valid after ended
}

// startQEMU starts a machine. The kernel kills it when this process ends for any
// reason.
func startQEMU(path string, args []string, kernel, initrd *os.File) (*qemuProcess, error) {
	channel, guestEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer guestEnd.Close()
	q := &qemuProcess{console: newConsole(), stderr: newConsole(), channel: channel, ended: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = q.console, q.stderr
	cmd.ExtraFiles = []*os.File{kernel, initrd, guestEnd}
	// A process group of its own: the terminal's signals go to this process only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that started the process ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			q.err = cmd.Wait()
			close(q.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start QEMU: %w", err), channel.Close())
	}
	q.process = cmd.Process
	return q, nil
}

// kill ends the machine and waits for its end. A process may hang in the kernel, for
// example in /dev/kvm: the wait is limited.
func (q *qemuProcess) kill() {
	_ = q.process.Kill()
	select {
	case <-q.ended:
	case <-time.After(5 * time.Second):
	}
}
