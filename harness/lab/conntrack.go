package lab

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/format"
	"snatlab/harness/machine"
)

// CheckConntrack checks whether the counters of the caller's network namespace can
// be read, and whether its table, which other traffic may share, has room for more
// entries.
func CheckConntrack(entries int, shared bool) machine.Precondition {
	p := machine.Precondition{Name: "conntrack", State: machine.Unmet}
	s, err := conntrack.ReadSnapshot()
	if err != nil {
		p.Found, p.Remedy = err.Error(), "a run needs a kernel with nf_conntrack and ctnetlink (CONFIG_NF_CT_NETLINK)"
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			p.Remedy = "run as root"
		}
		return p
	}
	if p.Found = CheckRoom(s, entries, shared); p.Found != "" {
		p.Remedy = "fewer requests, or a larger net.netfilter.nf_conntrack_max"
		return p
	}
	p.State, p.Found = machine.Met, describeUse(s)
	return p
}

// CheckRoom returns why a conntrack table has no room for more entries, and an empty
// text if it has. When a shared table is full, connections of all who share it are
// dropped: a twentieth of such a table is left to the others. A limit of 0 is no
// limit (nf_conntrack_alloc in net/netfilter/nf_conntrack_core.c).
func CheckRoom(s conntrack.Snapshot, entries int, shared bool) string {
	reserve := uint64(0)
	if shared {
		reserve = s.Max / 20
	}
	if s.Max == 0 || s.Entries+uint64(entries)+reserve <= s.Max {
		return ""
	}
	text := describeUse(s)
	if entries > 0 {
		text += fmt.Sprintf(", a trial wants room for %d more", entries)
	}
	if shared {
		text += fmt.Sprintf(", the last %d are left to others", reserve)
	}
	return text
}

func describeUse(s conntrack.Snapshot) string {
	if s.Max == 0 {
		return fmt.Sprintf("%s in use, no limit (nf_conntrack_max is 0)", format.Plural(int(s.Entries), "entry", "entries"))
	}
	return fmt.Sprintf("%d of %d entries in use", s.Entries, s.Max)
}
