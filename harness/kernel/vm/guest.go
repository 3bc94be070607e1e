package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/kernel"
)

// channelPort is the second serial port; the first is the kernel's console.
const channelPort = "/dev/ttyS1"

// alivePeriod is how often a guest says that it lives.
const alivePeriod = 5 * time.Second

// GuestWork is what a guest is booted for. It returns the result, and reports its
// progress on the way. It begins with [PrepareGuest].
type GuestWork func(ctx context.Context, report func(progress []byte)) (result []byte, err error)

// RunInit is init in a guest: it mounts what work looks at, sends the host what came
// of it, and ends the machine. It returns only where it is not init. There are no
// orphans to look after: probes start no programs.
func RunInit(work GuestWork) error {
	if os.Getpid() != 1 {
		return errors.New("guest is what runs as init in the machines of snatlab matrix, and is nothing else")
	}
	if err := runWork(work); err != nil {
		fmt.Fprintf(os.Stderr, "snatlab: %v\n", err) // on the console
	}
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // which ends a QEMU with -no-reboot, ACPI or not
}

// runWork fails only where it cannot tell.
func runWork(work GuestWork) error {
	if err := mountFilesystems(); err != nil {
		return err
	}
	port, err := openChannel()
	if err != nil {
		return err
	}
	v := &guestConn{w: port}
	if err := v.sendJSON(frameHello, hello{protocolVersion, kernel.RunningRelease()}); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	end := make(chan struct{})
	defer close(end)
	go v.sendAlive(end)
	r, err := callWork(work, v)
	if err == nil {
		err = v.sendFrame(frameResult, r)
	}
	if err != nil {
		err = v.sendFrame(frameFailure, []byte(err.Error()))
	}
	if err != nil {
		return fmt.Errorf("tell how it went: %w", err)
	}
	return drainPort(port)
}

// sendAlive tells the host that this machine has not hung.
func (v *guestConn) sendAlive(end <-chan struct{}) {
	tick := time.NewTicker(alivePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = v.sendFrame(frameAlive, nil)
		case <-end:
			return
		}
	}
}

// callWork does the work. A panic is an error: init has nobody to tell but us.
func callWork(work GuestWork, v *guestConn) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the guest: %v\n%s", p, debug.Stack())
		}
	}()
	return work(context.Background(), v.sendProgress)
}

// PrepareGuest loads the modules of the initramfs, and makes all guests alike in what
// kernels set by the memory there is.
func PrepareGuest() error {
	if err := loadModules("/"); err != nil {
		return err
	}
	return normaliseLimits()
}

// mountFilesystems mounts what a run looks at.
func mountFilesystems() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && err != unix.EBUSY { // CONFIG_DEVTMPFS_MOUNT
			return fmt.Errorf("mount %s at %s: %w", m.kind, m.at, err)
		}
	}
	return nil
}

// openChannel opens the port so that bytes go out as they are.
func openChannel() (*os.File, error) {
	port, err := os.OpenFile(channelPort, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open the second serial port: %w (CONFIG_SERIAL_8250)", err)
	}
	t, err := unix.IoctlGetTermios(int(port.Fd()), unix.TCGETS)
	if err == nil {
		t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
		t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
		err = unix.IoctlSetTermios(int(port.Fd()), unix.TCSETS, t)
	}
	if err != nil {
		return nil, fmt.Errorf("set up %s: %w", channelPort, err)
	}
	return port, nil
}

// drainPort waits until all of it is out: what is still in the kernel ends with it.
func drainPort(port *os.File) error {
	const all = 1 // tcdrain(3)
	return unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, all)
}

// loadModules loads those of the initramfs, in the order that is written there.
func loadModules(root string) error {
	order, err := os.ReadFile(filepath.Join(root, kernel.ModuleOrder))
	if err != nil {
		return fmt.Errorf("read which modules to load: %w", err)
	}
	for path := range strings.FieldsSeq(string(order)) {
		if err := loadModule(filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("load module: %w", err)
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load module %s: %w (the kernel's console says more)", strings.TrimSuffix(filepath.Base(path), ".ko"), err)
	}
	return nil
}

// normaliseLimits makes all guests alike in what kernels otherwise set by the memory
// there is, each by a rule of its own.
func normaliseLimits() error {
	for _, s := range []struct{ path, value string }{
		{"/sys/module/nf_conntrack/parameters/hashsize", "65536"},
		{"/proc/sys/net/netfilter/nf_conntrack_max", "262144"},
	} {
		if err := os.WriteFile(s.path, []byte(s.value), 0); err != nil {
			return fmt.Errorf("size the conntrack table: %w (CONFIG_NF_CONNTRACK)", err)
		}
	}
	files := &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16} // init has 4,096
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, files); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
