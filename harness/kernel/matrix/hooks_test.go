//go:build testhooks

package matrix

import (
	"slices"
	"testing"

	"snatlab/harness/kernel"
)

// In a build for tests, a variable chooses the kernel whose guests panic.
func TestHookVariables(t *testing.T) {
	t.Setenv(panicVariable, "")
	if all := hookVariables(); all != nil {
		t.Errorf("variables %q", all)
	}
	v := RunWatcher(silentWatcher{})
	if w := guestWatcher(v); w != v {
		t.Errorf("watcher %T", w)
	}
	t.Setenv(panicVariable, kernel.RunningRelease())
	if all := hookVariables(); !slices.Equal(all, []string{panicVariable + "=" + kernel.RunningRelease()}) {
		t.Errorf("variables %q", all)
	}
	if w, panics := guestWatcher(v).(panickingWatcher); !panics || w.RunWatcher != v {
		t.Errorf("watcher %T", guestWatcher(v))
	}
	t.Setenv(panicVariable, "5.0-other")
	if w := guestWatcher(v); w != v {
		t.Errorf("in another kernel: watcher %T", w)
	}
}
