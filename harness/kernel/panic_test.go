//go:build testhooks

package kernel

import (
	"strings"
	"testing"
)

func TestHookVariables(t *testing.T) {
	t.Setenv(panicIn, "")
	if line := commandLine(); strings.Contains(line, panicIn) {
		t.Errorf("command line %q", line)
	}
	v := &voice{}
	if w := guestWatcher(v); w != Watcher(v) {
		t.Errorf("watcher %T", w)
	}
	t.Setenv(panicIn, uname())
	if line := commandLine(); !strings.Contains(line, " "+panicIn+"="+uname()+" -- ") {
		t.Errorf("command line %q", line)
	}
	if w, panics := guestWatcher(v).(panicking); !panics || w.voice != v {
		t.Errorf("watcher %T", guestWatcher(v))
	}
	t.Setenv(panicIn, "5.0-other")
	if w := guestWatcher(v); w != Watcher(v) {
		t.Errorf("in another kernel: watcher %T", w)
	}
}
