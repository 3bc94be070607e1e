package probe

import (
	"fmt"

	"snatlab/harness/format"
)

// PortCounts are numbers of connections by source port. Each element is the first and the
// last port of a range, and the number of connections from each port in it. The ranges
// ascend.
type PortCounts [][3]int

// NewPortCounts returns the counts of ports, of which the index is the port.
func NewPortCounts(connections []uint32) (all PortCounts) {
	for port, n := range connections {
		last := len(all) - 1
		switch {
		case n == 0:
		case last >= 0 && all[last][1] == port-1 && all[last][2] == int(n):
			all[last][1] = port
		default:
			all = append(all, [3]int{port, port, int(n)})
		}
	}
	return all
}

// Each calls do for each port that connections came from.
func (c PortCounts) Each(do func(port, connections int)) {
	for _, r := range c {
		for port := r[0]; port <= r[1]; port++ {
			do(port, r[2])
		}
	}
}

// check returns an error for counts that are not those of so many connections. A server
// that does not count ports sends none.
func (c PortCounts) check(connections uint64) error {
	if c == nil {
		return nil
	}
	free, left := 0, connections
	for _, r := range c {
		first, last, n := r[0], r[1], r[2]
		if first < free || last < first || last > 65535 || n < 1 || uint64(n) > left {
			return fmt.Errorf("%d connections from each of the ports %d to %d", n, first, last)
		}
		sum := uint64(last-first+1) * uint64(n) // both are below 1 << 40
		if sum > left {
			return fmt.Errorf("%d connections from each of the ports %d to %d", n, first, last)
		}
		free, left = last+1, left-sum
	}
	if left > 0 {
		return fmt.Errorf("the source ports of %s of %s", format.Thousands(connections-left), format.Plural(int(connections), "connection", "connections"))
	}
	return nil
}
