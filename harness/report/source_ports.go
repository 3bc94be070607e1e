package report

import (
	"fmt"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// sourcePortRows returns what the server saw of the source ports of each arm: how many
// connections kept theirs, and which ports NAT drew for the others. There are none in
// results of versions before they were recorded.
func sourcePortRows(arms []result.Arm) []row {
	if !slices.ContainsFunc(arms, func(a result.Arm) bool { return a.SourcePorts != nil }) {
		return nil
	}
	rows := []row{portRow("source port kept", func(p *result.SourcePorts) string {
		return fmt.Sprintf("%s of %s", format.Thousands(p.Kept), format.Thousands(p.Connections))
	})}
	for i, r := range result.PortRanges {
		rows = append(rows, portRow("  drawn, "+PortRange(r), func(p *result.SourcePorts) string {
			if i >= len(p.Ranges) { // of a file that somebody wrote
				return format.None
			}
			return format.Thousands(p.Ranges[i].Drawn())
		}))
	}
	return rows
}

func portRow(label string, of func(*result.SourcePorts) string) row {
	return row{label, func(a result.Arm) string {
		if a.SourcePorts == nil {
			return format.None
		}
		return of(a.SourcePorts)
	}}
}

// PortRange prints a range of result.PortRanges: "below 1024".
func PortRange(r result.Ports) string {
	switch {
	case r.First == 0:
		return fmt.Sprintf("below %d", r.Last+1)
	case r.Last == 65535:
		return fmt.Sprintf("above %d", r.First-1)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}
