package probe

import (
	"os"
	"strconv"
	"strings"
)

// PeakRSS returns the peak resident memory of this process in bytes (VmHWM, proc(5)),
// or 0 if the kernel does not report it. Unlike ru_maxrss of getrusage(2), it does not
// count the process before exec.
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

// ForgetPeakRSS resets the peak that PeakRSS returns to the memory that is resident now. An
// error is ignored: a kernel may be built without /proc/PID/clear_refs, proc(5).
func ForgetPeakRSS() {
	const peak = "5"
	_ = os.WriteFile("/proc/self/clear_refs", []byte(peak), 0)
}
