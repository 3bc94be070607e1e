//go:build testhooks

package kernel

import (
	"os"

	"snatlab/harness/result"
)

// panicIn names the environment variable that makes guests panic after their
// first trial. It holds the release of the kernel that panics.
const panicIn = "SNATLAB_TEST_PANIC_IN"

// hookVariables returns what the kernel's command line says to make a guest
// panic. The kernel passes it to init as a variable.
func hookVariables() string {
	if release := os.Getenv(panicIn); release != "" {
		return " " + panicIn + "=" + release
	}
	return ""
}

// guestWatcher returns the watcher of the run in this guest: one that panics, if
// the variable names this kernel.
func guestWatcher(v *voice) Watcher {
	if os.Getenv(panicIn) != uname() {
		return v
	}
	return panicking{v}
}

type panicking struct{ *voice }

func (p panicking) Done(int, int, string, *result.Trial) {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}
