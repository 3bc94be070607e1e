package kernel

import (
	"testing"
)

func TestTooLittleMemoryForTheGuestsIsSaidBefore(t *testing.T) {
	meminfo := save(t, "meminfo", []byte("MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    2097152 kB\n"))
	for _, c := range []struct {
		guests, memory int
		want           string
	}{
		{1, 512, ""}, {2, 768, ""},
		{3, 512, "2048 MiB of memory are available; running 3 guests of 512 MiB at a time takes 2304 (fewer --jobs, or less --memory)"},
	} {
		got := ""
		if err := checkMemory(meminfo, c.guests, c.memory); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%d guests of %d MiB: got %q, want %q", c.guests, c.memory, got, c.want)
		}
	}
	if err := checkMemory(save(t, "old", []byte("MemTotal: 16 kB\n")), 64, 1<<20); err != nil {
		t.Errorf("what is unknown: %v", err)
	}
}
