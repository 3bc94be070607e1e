package trend

import (
	"io"

	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// outcomeWidth is the width of the column of outcomes.
const outcomeWidth = 14

// WriteNight writes a night on one screen: the kernel first, then a line for each
// scenario with its findings below, and the answer last.
func WriteNight(w io.Writer, n *result.Night, on layout.Screen) error {
	p := newPage(on)
	p.WriteLine(wording.NightKernel(n))
	p.WriteLine("")
	for _, j := range n.Runs {
		p.writeJudged(j)
	}
	if len(n.Runs) > 0 {
		p.WriteLine("")
	}
	for _, text := range n.Warnings {
		p.WriteHanging("warning: ", text)
	}
	p.WriteHanging("store ", wording.StoreLine(n.Store))
	p.WriteHanging("", wording.NightSummary(n))
	_, err := io.WriteString(w, p.String())
	return err
}

// writeJudged writes one scenario.
func (p *page) writeJudged(j result.NightRun) {
	p.WriteHanging(layout.PadRight(wording.OutcomeWord(j.Outcome), outcomeWidth), wording.NightRunName(j)+": "+wording.NightRunFigures(j))
	if j.Reason != "" {
		p.WriteHanging(layout.PadRight("", outcomeWidth), j.Reason)
	}
	if j.KeyChange != "" {
		p.WriteHanging(layout.PadRight("", outcomeWidth), "history restarted: "+j.KeyChange)
	}
	for _, f := range j.Findings {
		p.WriteHanging(layout.PadRight("", outcomeWidth)+"- ", wording.FindingText(f))
	}
	for _, text := range j.Doubts {
		p.WriteHanging(layout.PadRight("", outcomeWidth)+"- ", "doubt: "+text)
	}
}
