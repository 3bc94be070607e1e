package machine

import (
	"os"
	"testing"

	"snatlab/harness/netnstest"
)

// A panic in a namespace is the caller's.
func TestNamespaceDoPanics(t *testing.T) {
	netnstest.Enter(t)
	defer func() {
		if p := recover(); p != "lost" {
			t.Errorf("recovered %v", p)
		}
	}()
	_ = OpenNamespace(os.Getpid()).Do(func() error { panic("lost") })
}
