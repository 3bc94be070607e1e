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
func (p *Progress) Start(round, rounds int, arm string) {
	if p.terminal {
		p.overwriteLine(p.linePrefix(round, rounds, arm) + "running")
	}
}

// Done shows a finished trial:
// "round 3/8   random-fully   failed 0/6,000   insert_failed 0   0.00 %   2.1 s".
func (p *Progress) Done(round, rounds int, arm string, t *result.Trial) {
	requests := format.Thousands(t.Requests)
	text := p.linePrefix(round, rounds, arm) + fmt.Sprintf("failed %*s/%s%s   insert_failed %*s   %6.2f %%   %s",
		len(requests), format.Thousands(t.Failed), requests, controlShare(t),
		len(requests), format.Thousands(t.Conntrack.InsertFailed), 100*t.FailedShare(), format.Seconds(t.Seconds))
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

func (p *Progress) linePrefix(round, rounds int, arm string) string {
	p.nameLen = max(p.nameLen, utf8.RuneCountInString(arm))
	return fmt.Sprintf("round %*d/%d   %s   ", len(strconv.Itoa(rounds)), round, rounds, padRight(arm, p.nameLen))
}

func (p *Progress) overwriteLine(text string) {
	runes := []rune(printableLine(text))
	fmt.Fprint(p.w, eraseLine+string(runes[:min(len(runes), transientMax)]))
}

func (p *Progress) writeLine(text string) {
	fmt.Fprintln(p.w, printableLine(text))
}
