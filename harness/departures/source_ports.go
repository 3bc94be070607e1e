package departures

import (
	"slices"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// recordSourcePorts adds the source ports of a trial to those of its arm and of its
// control. A server that does not count them leaves none.
func recordSourcePorts(into *result.Arm, t Trial) {
	var arm, control usedPorts
	for _, r := range t.Reports {
		arm.add(r.Ports)
		if r.Control != nil {
			control.add(r.Control.Ports)
		}
	}
	into.SourcePorts = addPorts(into.SourcePorts, t.Served.Ports, &arm)
	into.ControlSourcePorts = addPorts(into.ControlSourcePorts, t.Served.ControlPorts, &control)
}

// usedPorts are the source ports that a client connected from in a trial.
type usedPorts [1 << 16]bool

func (u *usedPorts) add(ranges []scenario.PortRange) {
	for _, r := range ranges {
		for port := int(r.First); port <= int(r.Last); port++ {
			u[port] = true
		}
	}
}

// addPorts returns the source ports with those that a server saw in a trial.
func addPorts(to *result.SourcePorts, seen probe.PortCounts, used *usedPorts) *result.SourcePorts {
	if len(seen) == 0 {
		return to
	}
	if to == nil {
		to = &result.SourcePorts{}
		for _, r := range result.PortRanges {
			to.Ranges = append(to.Ranges, result.PortBlock{Ports: r})
		}
	}
	seen.Each(func(port, connections int) {
		kept := 0
		if used[port] {
			kept = connections
		}
		to.Connections += connections
		to.Kept += kept
		at := rangeOf(port)
		for _, b := range []*result.PortBlock{&to.Ranges[at], findBlock(to, blockOf(port, result.PortRanges[at]))} {
			b.Connections += connections
			b.Kept += kept
		}
	})
	return to
}

// rangeOf returns the index of a port's range in result.PortRanges.
func rangeOf(port int) int {
	return slices.IndexFunc(result.PortRanges[:], func(r result.Ports) bool { return port <= r.Last })
}

// blockSize is the number of ports of a block. A block does not reach into two ranges.
const blockSize = 1024

func blockOf(port int, in result.Ports) result.Ports {
	first := port / blockSize * blockSize
	return result.Ports{First: max(first, in.First), Last: min(first+blockSize-1, in.Last)}
}

// findBlock returns the block of some ports, and adds it where there is none yet.
func findBlock(of *result.SourcePorts, ports result.Ports) *result.PortBlock {
	at, known := slices.BinarySearchFunc(of.Blocks, ports.First, func(b result.PortBlock, first int) int { return b.First - first })
	if !known {
		of.Blocks = slices.Insert(of.Blocks, at, result.PortBlock{Ports: ports})
	}
	return &of.Blocks[at]
}
