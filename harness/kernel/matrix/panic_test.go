//go:build testhooks

package matrix

import (
	"slices"
	"testing"

	"snatlab/harness/kernel"
)

func TestHookVariables(t *testing.T) {
	t.Setenv(panicIn, "")
	if all := hookVariables(); all != nil {
		t.Errorf("variables %q", all)
	}
	v := Watcher(silent{})
	if w := guestWatcher(v); w != v {
		t.Errorf("watcher %T", w)
	}
	t.Setenv(panicIn, kernel.RunningRelease())
	if all := hookVariables(); !slices.Equal(all, []string{panicIn + "=" + kernel.RunningRelease()}) {
		t.Errorf("variables %q", all)
	}
	if w, panics := guestWatcher(v).(panicking); !panics || w.Watcher != v {
		t.Errorf("watcher %T", guestWatcher(v))
	}
	t.Setenv(panicIn, "5.0-other")
	if w := guestWatcher(v); w != v {
		t.Errorf("in another kernel: watcher %T", w)
	}
}
