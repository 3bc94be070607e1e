package trend

import (
	"fmt"
	"testing"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
)

// The screens as they are on terminals of several widths, and on one without UTF-8.
func TestScreens(t *testing.T) {
	t.Parallel()
	night := reporttest.Nights(t)["bad"]
	for _, on := range []layout.Screen{{Width: 20, ASCII: true}, {Width: 60}, {Width: 80}, {Width: 120}, {Width: 200}} {
		for name, text := range map[string]string{
			"night":      reporttest.Draw(t, reporttest.On(on, WriteNight), night),
			"history":    reporttest.Draw(t, reporttest.On(on, WriteHistory), reporttest.PastNights()),
			"comparison": reporttest.Draw(t, reporttest.On(on, WriteComparison), reporttest.ComparedKernels()),
			"runs":       reporttest.Draw(t, reporttest.On(on, WriteRuns), keptRuns()),
		} {
			reporttest.CheckFits(t, on, text)
			reporttest.CheckGolden(t, fmt.Sprintf("testdata/screens/%s-%d.txt", name, on.Width), text)
		}
	}
}

// No line is wider than the screen, however wide that is.
func TestWidths(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 33, 60, 80, 200} {
		for _, ascii := range []bool{false, true} {
			on := layout.Screen{Width: width, ASCII: ascii}
			for _, n := range reporttest.Nights(t) {
				reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteNight), n))
			}
			reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteHistory), reporttest.PastNights()))
			reporttest.CheckFits(t, on, reporttest.Draw(t, reporttest.On(on, WriteComparison), reporttest.ComparedKernels()))
		}
	}
}
