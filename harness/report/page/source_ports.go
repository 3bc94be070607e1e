package page

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/report"
	"snatlab/harness/result"
)

// drawSourcePorts draws the source ports that the server saw of each arm, all on the same
// axis, and returns the figures as a table. There are none of results of versions before
// they were recorded.
func drawSourcePorts(r *result.Result) (charts []curveChart, figures table) {
	figures = table{Caption: "Source ports at the server", Head: []string{"connections of", "number", "port kept"},
		Note: "Kept: the server saw a port that a client had connected from. The other connections have a port that NAT drew."}
	for _, p := range result.PortRanges {
		figures.Head = append(figures.Head, "drawn, "+report.PortRange(p))
	}
	for i, a := range r.Arms {
		if a.SourcePorts == nil {
			continue
		}
		figures.Rows = append(figures.Rows, sourcePortRow(a.Name, a.SourcePorts))
		c := curveChart{ID: fmt.Sprintf("ports-%d", i), Title: a.Name, Along: portScale.alongX(portTicks, func(v float64) string { return fmt.Sprint(v) }),
			About: fmt.Sprintf("%s of %s kept their port", thousands(a.SourcePorts.Kept), format.Plural(a.SourcePorts.Connections, "connection", "connections")),
			Area:  drawPorts(a.SourcePorts, true)}
		if a.ControlSourcePorts != nil {
			figures.Rows = append(figures.Rows, sourcePortRow("control of "+a.Name, a.ControlSourcePorts))
			c.Outline = drawPorts(a.ControlSourcePorts, false)
		}
		charts = append(charts, c)
	}
	return charts, figures
}

func sourcePortRow(name string, p *result.SourcePorts) []string {
	row := []string{name, thousands(p.Connections), thousands(p.Kept)}
	for i := range result.PortRanges {
		cell := format.None
		if i < len(p.Ranges) { // not of a file that somebody wrote
			cell = thousands(p.Ranges[i].Drawn())
		}
		row = append(row, cell)
	}
	return row
}

// The axis of source ports: linear, in blocks of 1024 ports.
var (
	portScale = scale{high: 65536}
	portTicks = []float64{1024, 16384, 32768, 49152, 61000}
	portEdges = portBlocks()
)

func portBlocks() (edges []float64) {
	for edge := 0; edge <= 65536; edge += 1024 {
		edges = append(edges, float64(edge))
	}
	return edges
}

// drawPorts returns the path of the connections in each block of the axis. The fullest one
// has the whole height: a rule that draws spreads as many connections as others keep within
// one block.
func drawPorts(p *result.SourcePorts, closed bool) string {
	blocks, most := make([]float64, len(portEdges)-1), 0.0
	for _, b := range p.Blocks {
		if at := b.First / 1024; b.First >= 0 && at < len(blocks) {
			blocks[at] += float64(b.Connections)
			most = max(most, blocks[at])
		}
	}
	return drawSteps(portScale, portEdges, blocks, most, closed)
}
