package machine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Precondition is a requirement of a driver on the machine.
type Precondition struct {
	Name     string
	State    State
	Found    string // on the machine: "20.10.24 at unix:///var/run/docker.sock"
	Remedy   string // where it is not met
	Advisory bool   // a run is possible without it
}

// State is the result of checking a precondition.
type State int

// The states of a precondition. Unknown is not the same as unmet.
const (
	Met State = iota
	Unmet
	Unknown // could not be checked, mostly because another precondition is not met
)

func (s State) String() string { return [...]string{"ok", "missing", "unknown"}[s] }

// RequireMet returns an error for the first precondition that is not met and that a
// run requires.
func RequireMet(all []Precondition) error {
	for _, p := range all {
		if p.State == Unmet && !p.Advisory {
			return fmt.Errorf("%s: %s (%s)", p.Name, p.Found, p.Remedy)
		}
	}
	return nil
}

// CheckKernel reports the kernel, and whether it has separate counters for the
// causes of drops.
func CheckKernel() Precondition {
	release, _ := readKernel()
	p := Precondition{Name: "kernel", Advisory: true, Found: "Linux " + release}
	if _, err := os.Stat("/proc/net/stat/nf_conntrack"); err != nil {
		p.State, p.Found = Unmet, p.Found+": no /proc/net/stat/nf_conntrack"
		p.Remedy = "clash_resolve and chaintoolong are unknown without it (CONFIG_NF_CONNTRACK_PROCFS)"
	}
	return p
}

// capabilityNames are the names of the capabilities that snatlab uses.
var capabilityNames = map[int]string{
	unix.CAP_SETGID: "CAP_SETGID", unix.CAP_SETUID: "CAP_SETUID",
	unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN",
}

// CheckPrivilege checks whether this process has capabilities in effect:
// unix.CAP_NET_ADMIN.
func CheckPrivilege(wanted ...int) Precondition {
	p := Precondition{Name: "privilege", Remedy: "run as root"}
	effective, err := readCapabilities()
	if err != nil {
		p.State, p.Found = Unknown, err.Error()
		return p
	}
	var has, lacks []string
	for _, number := range wanted {
		if name := capabilityNames[number]; effective&(1<<number) == 0 {
			lacks = append(lacks, name)
		} else {
			has = append(has, name)
		}
	}
	p.Found = fmt.Sprintf("user %d, %s", os.Geteuid(), strings.Join(has, ", "))
	if lacks != nil {
		p.State, p.Found = Unmet, fmt.Sprintf("user %d has no %s", os.Geteuid(), strings.Join(lacks, ", no "))
	}
	return p
}

// readCapabilities returns the effective capabilities of the calling thread
// (CapEff, proc(5)).
func readCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(strings.TrimSpace(line), 16, 64)
}

// CheckCPUs counts the CPUs that this process may run on.
func CheckCPUs() Precondition {
	p := Precondition{Name: "CPUs", Advisory: true}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		p.State, p.Found = Unknown, err.Error()
		return p
	}
	p.Found = strconv.Itoa(set.Count())
	if set.Count() < 2 {
		p.State, p.Remedy = Unmet, "the race requires two CPUs: a run will most likely be inconclusive"
	}
	return p
}

// fewFiles is the number of open files below which clients must wait for timeouts
// before they can go on.
const fewFiles = 1024

// CheckOpenFiles checks this process's limit of open files. A probe works with any
// limit, but more slowly with a low one. Limit names the setting.
func CheckOpenFiles(limit string) Precondition {
	p := Precondition{Name: "open files", Advisory: true}
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		p.State, p.Found = Unknown, err.Error()
		return p
	}
	p.Found = strconv.FormatUint(l.Max, 10)
	if l.Max < fewFiles {
		p.State, p.Remedy = Unmet, "trials take longer; raise "+limit
	}
	return p
}
