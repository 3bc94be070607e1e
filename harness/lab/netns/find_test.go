package netns

import (
	"os"
	"testing"
)

// The name of a run leads to no other folder.
func TestFindKeptRouter(t *testing.T) {
	t.Parallel()
	for _, run := range []string{"", "../../etc", "a/b", "-x", "a b", "..", "a\n"} {
		if path, err := FindKeptRouter(run); err == nil {
			t.Errorf("%q: %s", run, path)
		}
	}
}

func TestParentOf(t *testing.T) {
	t.Parallel()
	if got := parentOf(os.Getpid()); got != os.Getppid() {
		t.Errorf("got %d, want %d", got, os.Getppid())
	}
	if got := parentOf(1 << 30); got != 0 {
		t.Errorf("of no process: %d", got)
	}
}
