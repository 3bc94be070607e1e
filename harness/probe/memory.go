package probe

import (
	"os"
	"strconv"
	"strings"
)

// PeakRSS is the most memory that this process had resident so far, in bytes
// (VmHWM, proc(5)); 0 if the kernel does not say. Unlike getrusage(2)'s
// ru_maxrss it does not count the process before exec.
func PeakRSS() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	kib, _, _ := strings.Cut(rest, "kB")
	n, _ := strconv.ParseUint(strings.TrimSpace(kib), 10, 64)
	return n << 10
}
