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

// FindQEMU looks for it.
func FindQEMU() (path string, err error) {
	if runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("guests are x86-64 so far, and this program, which is init in them, is built for %s", runtime.GOARCH)
	}
	path, err = exec.LookPath(qemuProgram)
	if err != nil {
		return "", fmt.Errorf("no %s on this machine (Debian, Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core)", qemuProgram)
	}
	return path, nil
}

// kernelCommandLine is the kernel's. Everything a kernel may stumble over ends it, and
// with -no-reboot the machine. What unpacks the kernel has a console by earlyprintk
// only. What follows the two dashes is for init, and so is a variable before them.
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

// qemuArguments describe a machine without a disk, a network or a screen: two serial
// ports are all that leads out of it.
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

// fdPath is the path of a descriptor. There is no file that could be left.
func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// qemuProcess is one that runs.
type qemuProcess struct {
	process *os.Process
	console *console
	stderr  *console      // its own standard error
	channel *os.File      // what the guest says
	ended   chan struct{} // closed when it is no more
	err     error         // how it ended; to be read then
}

// startQEMU starts a machine. It is killed when this process ends, however that
// does.
func startQEMU(path string, args []string, kernel, initrd *os.File) (*qemuProcess, error) {
	channel, said, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer said.Close()
	q := &qemuProcess{console: newConsole(), stderr: newConsole(), channel: channel, ended: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = q.console, q.stderr
	cmd.ExtraFiles = []*os.File{kernel, initrd, said}
	// A group of its own: what a terminal sends is for this process.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		// The signal is sent when the thread ends that started the process.
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

// kill ends the machine, and waits until it is no more. One that hangs in the
// kernel, in /dev/kvm for one, is not waited for any longer.
func (q *qemuProcess) kill() {
	_ = q.process.Kill()
	select {
	case <-q.ended:
	case <-time.After(5 * time.Second):
	}
}
