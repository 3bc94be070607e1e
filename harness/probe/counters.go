package probe

import (
	"os"
	"strconv"
	"strings"
)

// Counters are the counters of this network namespace by name: "TcpExt.ListenDrops".
type Counters map[string]uint64

// ReadCounters returns the counters of TCP and UDP. A missing file has none.
func ReadCounters() Counters {
	c := Counters{}
	for _, path := range []string{"/proc/self/net/netstat", "/proc/self/net/snmp"} {
		if text, err := os.ReadFile(path); err == nil {
			c.parsePairs(string(text))
		}
	}
	return c
}

// parsePairs reads pairs of lines: names, and their values.
func (c Counters) parsePairs(text string) {
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

// CounterDelta returns the difference of a counter, or nil if the kernel does not have it.
func CounterDelta(before, after Counters, name string) *uint64 {
	b, hadIt := before[name]
	a, hasIt := after[name]
	if !hadIt || !hasIt {
		return nil
	}
	d := a - b
	return &d
}
