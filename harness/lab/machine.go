package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/format"
)

// What every driver wants to know of a machine before it builds a lab on it.

// CheckKernel tells the kernel, and whether its counters can be told apart.
func CheckKernel() Precondition {
	release, _ := uname()
	p := Precondition{Name: "kernel", Advisory: true, Found: "Linux " + release}
	if _, err := os.Stat("/proc/net/stat/nf_conntrack"); err != nil {
		p.State, p.Found = Unmet, p.Found+": no /proc/net/stat/nf_conntrack"
		p.Remedy = "clash_resolve and chaintoolong are unknown without it (CONFIG_NF_CONNTRACK_PROCFS)"
	}
	return p
}

// CheckPrivilege looks whether this process has capabilities, keyed by their
// numbers, in effect.
func CheckPrivilege(wanted map[int]string) Precondition {
	p := Precondition{Name: "privilege", Remedy: "run as root"}
	effective, err := effectiveCapabilities()
	if err != nil {
		p.State, p.Found = Unknown, err.Error()
		return p
	}
	var has, lacks []string
	for number := range unix.CAP_LAST_CAP + 1 {
		switch name, ok := wanted[number]; {
		case !ok:
		case effective&(1<<number) == 0:
			lacks = append(lacks, name)
		default:
			has = append(has, name)
		}
	}
	p.Found = fmt.Sprintf("user %d, %s", os.Geteuid(), strings.Join(has, ", "))
	if lacks != nil {
		p.State, p.Found = Unmet, fmt.Sprintf("user %d has no %s", os.Geteuid(), strings.Join(lacks, ", no "))
	}
	return p
}

// effectiveCapabilities reads the set of the calling thread (CapEff, proc(5)).
func effectiveCapabilities() (uint64, error) {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "\nCapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(strings.TrimSpace(line), 16, 64)
}

// CheckConntrack looks whether the counters of the caller's network namespace
// can be read, and whether its table, which others may share, has room for
// entries more.
func CheckConntrack(entries int, shared bool) Precondition {
	p := Precondition{Name: "conntrack", State: Unmet}
	s, err := conntrack.Read()
	if err != nil {
		p.Found, p.Remedy = err.Error(), "a run needs a kernel with nf_conntrack and ctnetlink (CONFIG_NF_CT_NETLINK)"
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			p.Remedy = "run as root"
		}
		return p
	}
	if p.Found = Crowded(s, entries, shared); p.Found != "" {
		p.Remedy = "fewer requests, or a larger net.netfilter.nf_conntrack_max"
		return p
	}
	p.State, p.Found = Met, inUse(s)
	return p
}

// Crowded says what keeps a conntrack table from taking entries more; empty if
// nothing does. When a table is full, connections of all who share it are
// dropped: a twentieth of such a table is left to the others. A limit of 0 is no
// limit (nf_conntrack_alloc in net/netfilter/nf_conntrack_core.c).
func Crowded(s conntrack.Snapshot, entries int, shared bool) string {
	reserve := uint64(0)
	if shared {
		reserve = s.Max / 20
	}
	if s.Max == 0 || s.Entries+uint64(entries)+reserve <= s.Max {
		return ""
	}
	text := inUse(s)
	if entries > 0 {
		text += fmt.Sprintf(", a trial wants room for %d more", entries)
	}
	if shared {
		text += fmt.Sprintf(", the last %d are left to others", reserve)
	}
	return text
}

func inUse(s conntrack.Snapshot) string {
	if s.Max == 0 {
		return fmt.Sprintf("%s in use, no limit (nf_conntrack_max is 0)", format.Plural(int(s.Entries), "entry", "entries"))
	}
	return fmt.Sprintf("%d of %d entries in use", s.Entries, s.Max)
}

// CheckCPUs counts those that this process may run on.
func CheckCPUs() Precondition {
	p := Precondition{Name: "CPUs", Advisory: true}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		p.State, p.Found = Unknown, err.Error()
		return p
	}
	p.Found = strconv.Itoa(set.Count())
	if set.Count() < 2 {
		p.State, p.Remedy = Unmet, "the race takes two CPUs: a run will most likely be inconclusive"
	}
	return p
}

// fewFiles is the number of open files below which clients have to wait for
// timeouts to pass before they can go on.
const fewFiles = 1024

// CheckFiles looks at this process's limit of open files. A probe makes do with
// what it has. Limit says whose limit that is.
func CheckFiles(limit string) Precondition {
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
