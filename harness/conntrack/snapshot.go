// Package conntrack reads the counters of the kernel's connection tracking, and
// reads and deletes single entries, in the network namespace of the caller.
//
// The counters come by ctnetlink, one message for each CPU. Two of them,
// clash_resolve and chaintoolong, are missing in github.com/ti-mo/conntrack
// v0.5.2, so they are read from /proc/net/stat/nf_conntrack. The columns of that
// file are found by name, and some have been renamed over the years. Counters are
// 32 bits wide, wrap, and are never reset, so only the difference of two
// snapshots means anything.
package conntrack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/ti-mo/conntrack"

	"snatlab/harness/format"
)

// Snapshot is the state of the counters at one instant.
type Snapshot struct {
	CPUs    []CPUCounters // every possible CPU, in order
	Entries uint64        // in the table (nf_conntrack_count)
	Max     uint64        // entries that the table can hold (nf_conntrack_max); 0: no limit
}

// CPUCounters holds the counters of one CPU.
type CPUCounters struct {
	id           int
	stats        conntrack.Stats
	clashResolve *uint32 // nil where the kernel has none
	chainTooLong *uint32
}

// Files of the calling thread's network namespace.
const (
	statFile  = "/proc/thread-self/net/stat/nf_conntrack"
	countFile = "/proc/sys/net/netfilter/nf_conntrack_count"
	maxFile   = "/proc/sys/net/netfilter/nf_conntrack_max"
)

// SetMax sets the number of entries that each table of this machine can hold. It is
// for a machine that nobody else uses.
func SetMax(entries int) error {
	if err := os.WriteFile(maxFile, strconv.AppendInt(nil, int64(entries), 10), 0); err != nil {
		return fmt.Errorf("size the conntrack table: %w", err)
	}
	return nil
}

// ReadSnapshot reads a snapshot. It needs CAP_NET_ADMIN in the user namespace
// that owns the network namespace.
func ReadSnapshot() (Snapshot, error) {
	stats, err := readNetlink()
	if err != nil {
		return Snapshot{}, err
	}
	text, err := os.ReadFile(statFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // CONFIG_NF_CONNTRACK_PROCFS
		return Snapshot{}, fmt.Errorf("read conntrack counters: %w", err)
	}
	rows, err := parseStat(string(text))
	if err != nil {
		return Snapshot{}, fmt.Errorf("read %s: %w", statFile, err)
	}
	if len(rows) > 0 && len(rows) != len(stats) {
		return Snapshot{}, fmt.Errorf("%s has %s, ctnetlink counts %s", statFile,
			format.Plural(len(rows), "row", "rows"), format.Plural(len(stats), "CPU", "CPUs"))
	}
	s := Snapshot{}
	for i, stat := range stats {
		c := CPUCounters{id: int(stat.CPUID), stats: stat}
		if len(rows) > 0 {
			// Both list every possible CPU in order.
			c.clashResolve, c.chainTooLong = rows[i].findColumn("clashres", "clash_resolve"), rows[i].findColumn("chainlength", "chaintoolong")
		}
		s.CPUs = append(s.CPUs, c)
	}
	if s.Entries, err = readNumber(countFile); err != nil {
		return Snapshot{}, err
	}
	if s.Max, err = readNumber(maxFile); err != nil {
		return Snapshot{}, err
	}
	return s, nil
}

func readNetlink() ([]conntrack.Stats, error) {
	conn, err := conntrack.Dial(nil)
	if err != nil {
		return nil, fmt.Errorf("open ctnetlink: %w (is nf_conntrack_netlink loaded?)", err)
	}
	defer conn.Close()
	stats, err := conn.Stats()
	if err != nil {
		return nil, fmt.Errorf("read conntrack counters: %w (this needs CAP_NET_ADMIN: run as root)", err)
	}
	return stats, nil
}

func readNumber(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the size of the conntrack table: %w (is nf_conntrack loaded?)", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return n, nil
}

// statRow holds one line of the stat file by the names of the columns.
type statRow map[string]uint32

// findColumn returns the value of the first name that is a column, or nil if none
// is.
func (r statRow) findColumn(names ...string) *uint32 {
	for _, name := range names {
		if v, ok := r[name]; ok {
			return &v
		}
	}
	return nil
}

// parseStat parses /proc/net/stat/nf_conntrack: a header, then one row of
// hexadecimal numbers for each possible CPU. Empty text has no rows.
func parseStat(text string) ([]statRow, error) {
	header, body, _ := strings.Cut(text, "\n")
	names := strings.Fields(header)
	var rows []statRow
	for line := range strings.Lines(body) {
		fields := strings.Fields(line)
		if len(fields) != len(names) {
			return nil, fmt.Errorf("row %d has %d columns, the header has %d", len(rows)+1, len(fields), len(names))
		}
		r := statRow{}
		for i, field := range fields {
			v, err := strconv.ParseUint(field, 16, 32)
			if err != nil {
				return nil, fmt.Errorf("row %d, %s: %w", len(rows)+1, names[i], err)
			}
			r[names[i]] = uint32(v)
		}
		rows = append(rows, r)
	}
	return rows, nil
}
