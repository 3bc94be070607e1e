//go:build testhooks

package matrix

import (
	"os"

	"snatlab/harness/kernel"
	"snatlab/harness/result"
)

// panicVariable is the environment variable that makes guests panic after their first
// trial. Its value is the release of the kernel that panics.
const panicVariable = "SNATLAB_TEST_PANIC_IN"

// hookVariables returns the variable that makes a guest panic, as NAME=VALUE.
func hookVariables() []string {
	if release := os.Getenv(panicVariable); release != "" {
		return []string{panicVariable + "=" + release}
	}
	return nil
}

// guestWatcher returns watch, or a watcher that panics if panicVariable is the release
// of this kernel.
func guestWatcher(watch RunWatcher) RunWatcher {
	if os.Getenv(panicVariable) != kernel.RunningRelease() {
		return watch
	}
	return panickingWatcher{watch}
}

type panickingWatcher struct{ RunWatcher }

func (p panickingWatcher) Done(result.Progress, *result.Trial) {
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
}
