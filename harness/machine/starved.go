package machine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// starvedLooks are how often IsStarved looks at a process, and lookInterval is the time
// between two looks.
const (
	starvedLooks = 10
	lookInterval = 20 * time.Millisecond
)

// IsStarved reports whether a process wants a CPU and does not get it: at each of several
// looks one of its threads is runnable, and together they get less than half of a CPU. It
// takes 0.2 s. It reports false for a process that it cannot read.
func IsStarved(pid int) bool {
	first, err := readThreads(pid)
	last := first
	for look := 1; look < starvedLooks && err == nil && last.runnable; look++ {
		time.Sleep(lookInterval)
		last, err = readThreads(pid)
	}
	const elapsed = (starvedLooks - 1) * lookInterval
	return err == nil && last.runnable && last.time-first.time < elapsed/2
}

// threads are the threads of a process together.
type threads struct {
	runnable bool          // one of them is, or runs
	time     time.Duration // that they have had a CPU
}

// readThreads reads /proc/PID/task: proc_pid_stat(5), and the first value of schedstat
// (Documentation/scheduler/sched-stats.rst).
func readThreads(pid int) (t threads, err error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err == nil && len(stats) == 0 {
		err = fmt.Errorf("process %d: %w", pid, os.ErrNotExist)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
		t.runnable = t.runnable || bytes.HasPrefix(state, []byte("R"))
		schedstat, err := os.ReadFile(filepath.Join(filepath.Dir(path), "schedstat"))
		if err != nil {
			return t, err // a kernel without CONFIG_SCHED_INFO
		}
		ran, _, _ := bytes.Cut(schedstat, []byte(" "))
		ns, err := strconv.ParseInt(string(ran), 10, 64)
		if err != nil {
			return t, err
		}
		t.time += time.Duration(ns)
	}
	return t, err
}
