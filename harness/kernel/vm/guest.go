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

// channelPort is the second serial port. The first is the console of the kernel.
const channelPort = "/dev/ttyS1"

// alivePeriod is the time between frames that show that a guest is alive.
const alivePeriod = 5 * time.Second

// GuestWork does the work of a guest. It calls [PrepareGuest] first, reports its
// progress, and returns the result.
type GuestWork func(ctx context.Context, report func(progress []byte)) (result []byte, err error)

// RunInit runs as init in a guest: it mounts the kernel's file systems, does the work,
// sends the outcome to the host, and ends the machine. It returns an error if this
// process is not init. It does not reap orphans, because probes start no programs.
func RunInit(work GuestWork) error {
	if os.Getpid() != 1 {
		return errors.New("guest runs only as init in the machines of snatlab matrix")
	}
	if err := runWork(work); err != nil {
		fmt.Fprintf(os.Stderr, "snatlab: %v\n", err) // on the console
	}
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // ends a QEMU with -no-reboot, with ACPI or without
}

// runWork does the work and sends its outcome. It returns an error only if it cannot
// report to the host.
func runWork(work GuestWork) error {
	if err := mountFilesystems(); err != nil {
		return err
	}
	port, err := openChannel()
	if err != nil {
		return err
	}
	conn := &guestConn{w: port}
	if err := conn.sendJSON(frameHello, hello{protocolVersion, kernel.RunningRelease()}); err != nil {
		return fmt.Errorf("send the greeting: %w", err)
	}
	end := make(chan struct{})
	defer close(end)
	go conn.sendAlive(end)
	r, err := callWork(work, conn)
	if err == nil {
		err = conn.sendFrame(frameResult, r)
	}
	if err != nil {
		err = conn.sendFrame(frameFailure, []byte(err.Error()))
	}
	if err != nil {
		return fmt.Errorf("send the outcome: %w", err)
	}
	return drainPort(port)
}

// sendAlive sends a frame each alivePeriod, which shows that this machine has not hung.
func (conn *guestConn) sendAlive(end <-chan struct{}) {
	tick := time.NewTicker(alivePeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = conn.sendFrame(frameAlive, nil)
		case <-end:
			return
		}
	}
}

// callWork calls work and returns a panic as an error: the host cannot see it
// otherwise.
func callWork(work GuestWork, conn *guestConn) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the guest: %v\n%s", p, debug.Stack())
		}
	}()
	return work(context.Background(), conn.sendProgress)
}

// PrepareGuest loads the modules of the initramfs and sets the limits that kernels
// otherwise derive from their memory.
func PrepareGuest() error {
	if err := loadModules("/"); err != nil {
		return err
	}
	return normaliseLimits()
}

// mountFilesystems mounts the file systems that a run reads.
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

// openChannel opens channelPort in raw mode, which sends bytes unchanged.
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

// drainPort waits until all output is sent: output that is still in the kernel would be
// lost with it.
func drainPort(port *os.File) error {
	const all = 1 // tcdrain(3)
	return unix.IoctlSetInt(int(port.Fd()), unix.TCSBRK, all)
}

// loadModules loads the modules of the initramfs in the order of its list.
func loadModules(root string) error {
	order, err := os.ReadFile(filepath.Join(root, kernel.ModuleOrder))
	if err != nil {
		return fmt.Errorf("read the list of modules to load: %w", err)
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
		return fmt.Errorf("load module %s: %w (see the console of the kernel)", strings.TrimSuffix(filepath.Base(path), ".ko"), err)
	}
	return nil
}

// normaliseLimits sets the same limits in all guests. Kernels derive them from their
// memory, and not all by the same rule.
func normaliseLimits() error {
	for _, s := range []struct{ path, value string }{
		{"/sys/module/nf_conntrack/parameters/hashsize", "65536"},
		{"/proc/sys/net/netfilter/nf_conntrack_max", "262144"},
	} {
		if err := os.WriteFile(s.path, []byte(s.value), 0); err != nil {
			return fmt.Errorf("size the conntrack table: %w (CONFIG_NF_CONNTRACK)", err)
		}
	}
	files := &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16} // the default of init is 4,096
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, files); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}
