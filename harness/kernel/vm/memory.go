package vm

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"snatlab/harness/format"
)

// guestOverhead is the memory that a guest requires beside its own, in MiB: for kernel
// and initramfs, and for QEMU to translate code.
const guestOverhead = 256

// CheckMemory returns an error if this machine has too little memory for guests of
// memory MiB each.
func CheckMemory(guests, memory int) error { return checkAvailable("/proc/meminfo", guests, memory) }

func checkAvailable(meminfo string, guests, memory int) error {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return nil // unknown: try it
	}
	_, rest, _ := strings.Cut(string(text), "\nMemAvailable:")
	kib, _, found := strings.Cut(rest, "kB")
	available, err := strconv.Atoi(strings.TrimSpace(kib))
	if want := guests * (memory + guestOverhead); found && err == nil && available>>10 < want {
		return fmt.Errorf("%d MiB of memory are available; running %s of %d MiB at a time requires %d (use fewer --jobs or less --memory)",
			available>>10, format.Plural(guests, "guest", "guests"), memory, want)
	}
	return nil
}
