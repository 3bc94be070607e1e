//go:build testhooks

package matrix

import (
	"context"
	"os"
	"path/filepath"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

// panicVariable is the environment variable that makes guests panic after their first
// trial. Its value is the release of the kernel that panics.
const panicVariable = "SNATLAB_TEST_PANIC_IN"

// guestsVariable is the environment variable of a folder with results that stand for
// guests: RELEASE.json for the kernel RELEASE. A kernel without a file cannot be booted.
const guestsVariable = "SNATLAB_TEST_GUESTS"

// replaceGuests returns boot, or a function that reads the recorded results.
func replaceGuests(boot bootFunc) bootFunc {
	folder := os.Getenv(guestsVariable)
	if folder == "" {
		return boot
	}
	return func(_ context.Context, k *kernel.Kernel, _ *scenario.Scenario, _ RunWatcher) (*result.Result, string, error) {
		text, err := os.ReadFile(filepath.Join(folder, k.Release+".json"))
		if err != nil {
			return nil, vm.TCG, &vm.GuestError{Reason: "no guest is recorded: " + err.Error()}
		}
		r, err := resultfile.DecodeResult(text)
		return r, vm.TCG, err
	}
}

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
