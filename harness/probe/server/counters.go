package server

import (
	"os"
	"strconv"
	"strings"
)

// counters are the counters of this network namespace by name: "TcpExt.ListenDrops".
type counters map[string]uint64

// readCounters returns the counters of TCP. A missing file has none.
func readCounters() counters {
	c := counters{}
	for _, path := range []string{"/proc/self/net/netstat", "/proc/self/net/snmp"} {
		if text, err := os.ReadFile(path); err == nil {
			c.parsePairs(string(text))
		}
	}
	return c
}

// parsePairs reads pairs of lines: names, and their values.
func (c counters) parsePairs(text string) {
	names := map[string][]string{}
	for line := range strings.Lines(text) {
		group, rest, ok := strings.Cut(line, ": ")
		fields := strings.Fields(rest)
		switch {
		case !ok:
		case names[group] == nil:
			names[group] = fields
		default:
			for i, field := range fields[:min(len(fields), len(names[group]))] {
				if n, err := strconv.ParseUint(field, 10, 64); err == nil {
					c[group+"."+names[group][i]] = n
				}
			}
		}
	}
}

// counterDelta returns the difference of a counter, or nil if the kernel does not have it.
func counterDelta(before, after counters, name string) *uint64 {
	b, hadIt := before[name]
	a, hasIt := after[name]
	if !hadIt || !hasIt {
		return nil
	}
	d := a - b
	return &d
}
