package vm

import (
	"os"
	"path/filepath"
	"testing"
)

// saveFile writes a file into a temporary folder.
func saveFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Too little memory for the guests is an error before they are booted.
func TestCheckAvailable(t *testing.T) {
	t.Parallel()
	meminfo := saveFile(t, "meminfo", "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    2097152 kB\n")
	for _, c := range []struct {
		guests, memory int
		want           string
	}{
		{1, 512, ""}, {2, 768, ""},
		{3, 512, "2048 MiB of memory are available; running 3 guests of 512 MiB at a time requires 2304 (use fewer --jobs or less --memory)"},
	} {
		got := ""
		if err := checkAvailable(meminfo, c.guests, c.memory); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d guests of %d MiB: got %q, want %q", c.guests, c.memory, got, c.want)
		}
	}
	if err := checkAvailable(saveFile(t, "old", "MemTotal: 16 kB\n"), 64, 1<<20); err != nil {
		t.Errorf("memory unknown: %v", err)
	}
}
