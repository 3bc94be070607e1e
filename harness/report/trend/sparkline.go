package trend

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

const (
	sparkBlocks    = "▁▂▃▄▅▆▇█" // the first is 0
	kernelBoundary = "┊"        // a change of kernel
	sparkMax       = 60         // blocks of an arm on a screen that is wide enough; each span may add one
	sparkLeast     = 4
	sparkEnds      = 12 // columns around the blocks: blanks, and the rate at the end
	turnsMax       = 10 // changes of kernel that are named
)

// writeSparklines draws the failure rate of each arm over time, and the changes of
// kernel.
func (p *page) writeSparklines(s result.Series) {
	spans := spansOf(s)
	runs := 0
	for _, span := range spans {
		runs += len(span)
	}
	if runs == 0 {
		return
	}
	longest := 0
	for _, a := range s.Kernels[0].Arms {
		longest = max(longest, layout.Width(p.sparkName(a)))
	}
	room := min(sparkMax, max(sparkLeast, p.On.Columns()-longest-sparkEnds-min(len(spans), turnsMax)))
	each := (runs + room - 1) / room
	head := "over time, one block for each run"
	if each > 1 {
		head = fmt.Sprintf("over time, one block for the highest of %d runs", each)
	}
	p.WriteHanging("", head+"; ▁ is 0, █ is the rate at the end of the line")
	for _, a := range s.Kernels[0].Arms {
		line, most := drawSparkline(spans, a.Name, each)
		p.WriteLine(layout.PadRight(p.sparkName(a), longest+2) + line + "  " + format.Percent(most))
	}
	p.writeKernelChanges(spans)
	p.WriteLine("")
}

// sparkName returns the name of an arm, as short as it has to be beside its blocks.
func (p *page) sparkName(a result.ArmRuns) string {
	return p.On.Shorten(a.Name, min(layout.NameMost, max(8, p.On.Columns()/3)))
}

// writeKernelChanges names the changes of kernel; of many, the last ones.
func (p *page) writeKernelChanges(spans [][]result.RunSummary) {
	first := max(1, len(spans)-turnsMax)
	if first > 1 {
		p.WriteHanging(kernelBoundary+" ", format.Plural(first-1, "change", "changes")+" of kernel before these:")
	}
	for i := first; i < len(spans); i++ {
		before, after := spans[i-1][0], spans[i][0]
		p.WriteHanging(kernelBoundary+" ", fmt.Sprintf("from %s to %s on %s", before.Kernel, after.Kernel, formatDay(after.Started)))
	}
}

// spansOf returns the runs that did not end early, in a span for each stretch of time
// on one kernel. A kernel that comes back has another span. Guests run their kernels
// in turn, so their runs are one span.
func spansOf(s result.Series) (spans [][]result.RunSummary) {
	kernel := ""
	for _, r := range s.Runs {
		switch {
		case r.Incomplete != "":
			continue
		case len(spans) == 0, r.Kernel != kernel && s.Key.Guest == "":
			spans = append(spans, nil)
		}
		kernel = r.Kernel
		spans[len(spans)-1] = append(spans[len(spans)-1], r)
	}
	return spans
}

// drawSparkline draws one arm, and returns the rate of its highest block.
func drawSparkline(spans [][]result.RunSummary, arm string, each int) (line string, most float64) {
	highest := func(runs []result.RunSummary) float64 {
		rate := 0.0
		for _, r := range runs {
			for _, a := range r.Arms {
				if a.Name == arm {
					rate = max(rate, a.FailureRate.Median)
				}
			}
		}
		return rate
	}
	for _, span := range spans {
		most = max(most, highest(span))
	}
	var drawn []string
	for _, span := range spans {
		text := ""
		for some := range slices.Chunk(span, each) {
			text += sparkBlock(highest(some), most)
		}
		drawn = append(drawn, text)
	}
	return strings.Join(drawn, kernelBoundary), most
}

// sparkBlock returns the block for a rate. Only 0 has the first one.
func sparkBlock(rate, most float64) string {
	all := []rune(sparkBlocks)
	if rate == 0 || most == 0 {
		return string(all[0])
	}
	return string(all[min(len(all)-1, int(math.Ceil(rate/most*float64(len(all)-1))))])
}
