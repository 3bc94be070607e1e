package page

import (
	"fmt"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// The page draws the source ports of each arm and of its control, and has their figures.
func TestDrawSourcePorts(t *testing.T) {
	t.Parallel()
	r := reporttest.ReadFixture(t, "control")
	drawn := &result.SourcePorts{Connections: 1000, Kept: 5}
	for i, n := range []int{0, 492, 438, 70} {
		ports := result.PortRanges[i]
		drawn.Ranges = append(drawn.Ranges, result.PortBlock{Ports: ports, Connections: n})
		drawn.Blocks = append(drawn.Blocks, result.PortBlock{Ports: result.Ports{First: ports.First, Last: ports.First + 1023}, Connections: n})
	}
	r.Arms[1].SourcePorts = drawn
	r.Arms[1].ControlSourcePorts = &result.SourcePorts{Connections: 600, Kept: 600, // and of a file that somebody wrote:
		Blocks: []result.PortBlock{{Ports: result.Ports{First: -9}, Connections: 1}, {Ports: result.Ports{First: 1 << 40}, Connections: 1}}}
	page := reporttest.Draw(t, WriteRun, r)
	checkMarkup(t, page)
	for _, want := range []string{`<h2 id="ports">Source ports</h2>`, "5 of 1,000 connections kept their port",
		"<td>1,000</td><td>5</td><td>0</td><td>492</td><td>438</td><td>70</td>", fmt.Sprintf("control of %s", r.Arms[1].Name)} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
	if other := reporttest.Draw(t, WriteRun, reporttest.ReadFixture(t, "docker")); strings.Contains(other, `id="ports"`) {
		t.Error("a result of before they were recorded has source ports")
	}
}
