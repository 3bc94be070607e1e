package vm

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/format"
)

// newMemfd makes a file that has no name, and is gone with the last process that
// has it open.
func newMemfd(name string, write func(io.Writer) error) (*os.File, error) {
	fd, err := unix.MemfdCreate("snatlab-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := write(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// guestOverhead is what a guest takes beside its own memory, in MiB: its kernel and
// initramfs, and what QEMU needs to translate code.
const guestOverhead = 256

// CheckMemory looks whether this machine has room for guests, of so many MiB each.
func CheckMemory(guests, memory int) error { return checkAvailable("/proc/meminfo", guests, memory) }

func checkAvailable(meminfo string, guests, memory int) error {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return nil // what cannot be known is no reason not to try
	}
	_, rest, _ := strings.Cut(string(text), "\nMemAvailable:")
	kib, _, found := strings.Cut(rest, "kB")
	available, err := strconv.Atoi(strings.TrimSpace(kib))
	if want := guests * (memory + guestOverhead); found && err == nil && available>>10 < want {
		return fmt.Errorf("%d MiB of memory are available; running %s of %d MiB at a time takes %d (fewer --jobs, or less --memory)",
			available>>10, format.Plural(guests, "guest", "guests"), memory, want)
	}
	return nil
}
