//go:build testhooks

package matrix

import (
	"os"

	"snatlab/harness/kernel"
	"snatlab/harness/result"
)

// panicVariable names the environment variable that makes guests panic after their
// first trial. It holds the release of the kernel that panics.
const panicVariable = "SNATLAB_TEST_PANIC_IN"

// hookVariables returns the variable that makes a guest panic, NAME=VALUE.
func hookVariables() []string {
	if release := os.Getenv(panicVariable); release != "" {
		return []string{panicVariable + "=" + release}
	}
	return nil
}

// guestWatcher returns the watcher of the run in this guest: one that panics, if
// the variable names this kernel.
func guestWatcher(watch RunWatcher) RunWatcher {
	if os.Getenv(panicVariable) != kernel.RunningRelease() {
		return watch
	}
	return panickingWatcher{watch}
}

type panickingWatcher struct{ RunWatcher }

func (p panickingWatcher) Done(int, int, string, *result.Trial) {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}
