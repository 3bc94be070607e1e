package vm

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"snatlab/harness/format"
)

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
