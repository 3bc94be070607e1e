package agent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

// localPorts returns the range of source ports that the kernel chooses from in the
// network namespace of the calling thread. It is nil if it cannot be read.
func localPorts() *scenario.PortRange {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return nil
	}
	var p scenario.PortRange
	if _, err := fmt.Sscan(string(text), &p.First, &p.Last); err != nil || !p.Valid() {
		return nil
	}
	return &p
}

// allowedCPUs returns the CPUs that this process may run on.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("sched_getaffinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// raiseFileLimit raises the soft limit of open files to the hard one, and returns it.
// A higher hard limit would require a capability that probes drop.
func raiseFileLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("getrlimit: %w", err)
	}
	raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
	if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
		limit = raised
	}
	return int(min(limit.Cur, probe.MaxFiles)), nil
}
