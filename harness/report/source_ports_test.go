package report

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// seenPorts returns the source ports of 1,000 connections of a rule that draws.
func seenPorts() *result.SourcePorts {
	p := &result.SourcePorts{Connections: 1000, Kept: 5}
	for i, n := range []int{0, 492, 438, 70} {
		p.Ranges = append(p.Ranges, result.PortBlock{Ports: result.PortRanges[i], Connections: n})
	}
	p.Ranges[2].Kept = 5
	return p
}

// The full report says how many connections kept their ports, and which others NAT drew.
// An arm of which they are not known has none.
func TestSourcePortRows(t *testing.T) {
	t.Parallel()
	arms := []result.Arm{{SourcePorts: seenPorts()}, {}, {SourcePorts: &result.SourcePorts{}}}
	var got []string
	for _, row := range sourcePortRows(arms) {
		got = append(got, fmt.Sprintf("%s: %s, %s, %s", row.label, row.cell(arms[0]), row.cell(arms[1]), row.cell(arms[2])))
	}
	const want = `source port kept: 5 of 1,000, -, 0 of 0
  drawn, below 1024: 0, -, -
  drawn, 1024-32767: 492, -, -
  drawn, 32768-60999: 433, -, -
  drawn, above 60999: 70, -, -`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// The rows are in the full report and in report.md, and not on the first screen.
func TestSourcePortsPlace(t *testing.T) {
	t.Parallel()
	r := reporttest.ReadFixture(t, "control")
	r.Arms[1].SourcePorts = seenPorts()
	for name, want := range map[string]struct {
		text string
		has  bool
	}{
		"screen":   {reporttest.Draw(t, reporttest.On80(WriteText), r), false},
		"full":     {reporttest.Draw(t, reporttest.On80(WriteFull), r), true},
		"markdown": {reporttest.Draw(t, WriteMarkdown, r), true},
	} {
		if strings.Contains(want.text, "source port kept") != want.has {
			t.Errorf("%s:\n%s", name, want.text)
		}
	}
}
