package machine

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// startPinned starts a process on the first CPU that this one may use.
func startPinned(t *testing.T, program string, args ...string) (pid int) {
	t.Helper()
	c := exec.Command(program, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	var all, first unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if all.IsSet(cpu) {
			first.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(c.Process.Pid, &first); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

// Only a process that wants a CPU can be starved of it.
func TestIsStarved(t *testing.T) {
	t.Parallel()
	const loop = "while :; do :; done"
	starved := startPinned(t, "sh", "-c", loop)
	if err := unix.SchedSetAttr(starved, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		t.Fatal(err)
	}
	startPinned(t, "sh", "-c", loop)
	stopped := startPinned(t, "sh", "-c", loop)
	if err := unix.Kill(stopped, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		pid  int
		want bool
	}{
		{"beside a process of higher priority", starved, true},
		{"stopped", stopped, false},
		{"asleep", startPinned(t, "sleep", "60"), false},
		{"no such process", 1 << 30, false},
	} {
		if got := IsStarved(c.pid); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
