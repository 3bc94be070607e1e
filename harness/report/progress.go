package report

import (
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// Progress shows a run while it lasts, with a line for each trial. On a terminal, the
// last line also shows the current phase. A Progress is for one goroutine. An error
// of its writer does not affect the run, and is not reported.
type Progress struct {
	w        io.Writer
	terminal bool
	nameLen  int // of the longest arm so far, which keeps lines aligned
}

// NewProgress shows a run on w, which is a terminal or a log.
func NewProgress(w io.Writer, terminal bool) *Progress {
	return &Progress{w: w, terminal: terminal, nameLen: len("random-fully")}
}

// eraseLine clears the line of the cursor.
const eraseLine = "\r\x1b[K"

// transientMax keeps text that is erased later within one line of a terminal.
const transientMax = 79

// Say shows a phase: "building the probe image". An empty phase clears the last one
// from the terminal, before something else is printed there.
func (p *Progress) Say(phase string) {
	switch {
	case p.terminal:
		p.overwriteLine(phase)
	case phase != "":
		p.writeLine(phase)
	}
}

// Start shows that a trial begins. A log shows only finished trials.
func (p *Progress) Start(at result.Progress) {
	if p.terminal {
		p.overwriteLine(p.linePrefix(at) + "running" + describeHits(at))
	}
}

// Done shows a finished trial: "round 3   random-fully   failed 0/800   control 341/800
// insert_failed 341   0.00 %   0.6 s   control hits 1,023 of 1,000" on one line.
func (p *Progress) Done(at result.Progress, t *result.Trial) {
	requests := format.Thousands(t.Requests)
	text := p.linePrefix(at) + fmt.Sprintf("failed %*s/%s%s   insert_failed %*s   %6.2f %%   %s",
		len(requests), format.Thousands(t.Failed), requests, controlShare(t),
		len(requests), format.Thousands(t.Conntrack.InsertFailed), 100*t.FailedShare(), format.Seconds(t.Seconds))
	text += describeHits(at)
	if n := t.Causes[result.Unexplained]; n > 0 {
		text += fmt.Sprintf("   %s unexplained", format.Thousands(n))
	}
	if p.terminal {
		fmt.Fprint(p.w, eraseLine)
	}
	p.writeLine(text)
}

// controlShare returns what the control of a trial lost, "   control 1,204/2,000".
func controlShare(t *result.Trial) string {
	if t.Control == nil {
		return ""
	}
	requests := format.Thousands(t.Control.Requests)
	return fmt.Sprintf("   control %*s/%s", len(requests), format.Thousands(t.Control.Failed), requests)
}

// describeHits returns how many of the hits that the run waits for the control of an arm
// has: "   control hits 423 of 1,000".
func describeHits(at result.Progress) string {
	if at.HitsWanted == 0 {
		return ""
	}
	return fmt.Sprintf("   control hits %s of %s", format.Thousands(at.Hits), format.Thousands(at.HitsWanted))
}

func (p *Progress) linePrefix(at result.Progress) string {
	p.nameLen = max(p.nameLen, utf8.RuneCountInString(at.Arm))
	trial := fmt.Sprintf("round %d", at.Round)
	switch {
	case at.Round == 0:
		trial = "warm-up"
	case at.Rounds > 0:
		trial = fmt.Sprintf("round %*d/%d", len(strconv.Itoa(at.Rounds)), at.Round, at.Rounds)
	}
	return fmt.Sprintf("%s   %s   ", padRight(trial, len("warm-up")), padRight(at.Arm, p.nameLen))
}

func (p *Progress) overwriteLine(text string) {
	runes := []rune(printableLine(text))
	fmt.Fprint(p.w, eraseLine+string(runes[:min(len(runes), transientMax)]))
}

func (p *Progress) writeLine(text string) {
	fmt.Fprintln(p.w, printableLine(text))
}
