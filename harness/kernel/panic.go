package kernel

import (
	"os"

	"snatlab/harness/result"
)

// panicIn names the environment variable that has guests panic after their first
// trial, for tests: it holds the release of the kernel that is to.
const panicIn = "SNATLAB_TEST_PANIC_IN"

// watcher tells the host, unless this kernel is to panic.
func watcher(v *voice) Watcher {
	if os.Getenv(panicIn) != uname() {
		return v
	}
	return panicking{v}
}

type panicking struct{ *voice }

func (p panicking) Done(int, int, string, *result.Trial) {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}
