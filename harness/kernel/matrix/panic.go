//go:build testhooks

package matrix

import (
	"os"

	"snatlab/harness/kernel"
	"snatlab/harness/result"
)

// panicIn names the environment variable that makes guests panic after their
// first trial. It holds the release of the kernel that panics.
const panicIn = "SNATLAB_TEST_PANIC_IN"

// hookVariables returns the variable that makes a guest panic, NAME=VALUE.
func hookVariables() []string {
	if release := os.Getenv(panicIn); release != "" {
		return []string{panicIn + "=" + release}
	}
	return nil
}

// guestWatcher returns the watcher of the run in this guest: one that panics, if
// the variable names this kernel.
func guestWatcher(watch Watcher) Watcher {
	if os.Getenv(panicIn) != kernel.RunningRelease() {
		return watch
	}
	return panicking{watch}
}

type panicking struct{ Watcher }

func (p panicking) Done(int, int, string, *result.Trial) {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}
