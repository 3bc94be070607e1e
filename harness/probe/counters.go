package probe

import (
	"os"
	"strconv"
	"strings"
)

// Counters are the counters of this network namespace by name: "TcpExt.ListenDrops".
type Counters map[string]uint64

// ReadCounters returns the counters of TCP and UDP, of both families together. The kernel
// counts UDP over IPv6 apart. A missing file has none.
func ReadCounters() Counters {
	c := Counters{}
	for _, path := range []string{"/proc/self/net/netstat", "/proc/self/net/snmp"} {
		if text, err := os.ReadFile(path); err == nil {
			c.parsePairs(string(text))
		}
	}
	if text, err := os.ReadFile("/proc/self/net/snmp6"); err == nil {
		c.addUDP6(string(text))
	}
	return c
}

// addUDP6 adds the counters of UDP over IPv6 to those over IPv4. Each has a line.
func (c Counters) addUDP6(text string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(fields[0], "Udp6") {
			continue
		}
		if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
			c["Udp."+strings.TrimPrefix(fields[0], "Udp6")] += n
		}
	}
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
