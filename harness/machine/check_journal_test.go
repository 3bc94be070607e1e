package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A folder in which no journal can be written is reported.
func TestCheckJournal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(t.TempDir(), "shared")
	if err := errors.Join(os.Chmod(filepath.Dir(file), 0o700), os.Mkdir(shared, 0o700), os.Chmod(shared, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]Precondition{
		shared: {State: Unmet, Found: fmt.Sprintf("%q can be written to by other users (mode 1777)", shared),
			Remedy: "remove from it what you do not recognise, then: chmod 0700 " + shared},
		filepath.Dir(file):                       {State: Met, Found: "in " + filepath.Dir(file)},
		filepath.Join(filepath.Dir(file), "new"): {State: Met, Found: "in " + filepath.Join(filepath.Dir(file), "new")},
		"/proc/sys/new": {State: Unmet, Found: "write to /proc/sys: permission denied",
			Remedy: fmt.Sprintf("run as root, or have root make it: install -d -m 700 -o %d /proc/sys/new", os.Geteuid())},
	} {
		want.Name = "journal"
		if got := CheckJournal(dir); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
