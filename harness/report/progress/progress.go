// Package progress shows a run while it lasts: on a terminal in one line that is
// overwritten, in a log with a line for each phase and for each finished trial.
package progress

import (
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

// Output is what progress is shown on.
type Output struct {
	io.Writer
	// Screen is read before each line: a terminal may be resized.
	Screen   func() layout.Screen
	Terminal bool // a line can be overwritten
}

// Progress shows a run while it lasts. An error of its writer does not affect the run,
// and is not reported.
type Progress struct {
	out Output

	mu      sync.Mutex
	state   state
	nameLen int       // of the longest arm so far, which keeps lines of a log aligned
	begun   time.Time // the first phase
	part    part

	stop func() // ends the goroutine that redraws the line; nil: there is none
}

// part is the place of a run among several.
type part struct {
	kind  string // "run", "scenario" or "kernel"
	n, of int
	name  string // may be empty
	equal bool   // the parts take about as long as each other
}

// New returns a Progress that shows a run on out. It ends with Close.
func New(out Output) *Progress {
	return &Progress{out: out, nameLen: len("random-fully")}
}

// Part shows that the run that follows is part n of so many, of a kind and with a name:
// "scenario 2 of 5", "quickstart".
func (p *Progress) Part(kind string, n, of int, name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part, p.state = part{kind: kind, n: n, of: of, name: name}, state{}
}

// EqualPart is Part for parts that take about as long as each other. The bar, the time
// left and the failed requests are those of all parts.
func (p *Progress) EqualPart(kind string, n, of int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part = part{kind: kind, n: n, of: of, equal: true}
	p.state = state{begun: p.state.begun, failed: p.state.failed}
}

// Say shows a phase: "loading the probe image". An empty phase clears the last one
// from the terminal, before something else is printed there.
func (p *Progress) Say(phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.phase, p.state.running = phase, false
	switch {
	case p.out.Terminal && phase == "":
		fmt.Fprint(p.out, eraseLine)
		p.state.silent = true
	case p.out.Terminal:
		p.redraw()
	case phase != "":
		p.writeLine(phase)
	}
}

// Start shows that a trial begins. A log shows only finished trials.
func (p *Progress) Start(at result.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.begun.IsZero() && at.Round > 0 {
		p.state.begun = time.Now()
	}
	p.state.at, p.state.running, p.state.done, p.state.phase = at, true, false, ""
	if p.out.Terminal {
		p.redraw()
	}
}

// Done shows a finished trial.
func (p *Progress) Done(at result.Progress, t *result.Trial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.at, p.state.done = at, true
	if at.Round > 0 {
		p.state.failed += t.Failed
	}
	if p.out.Terminal {
		p.redraw()
		return
	}
	p.writeLine(p.trialLine(at, t))
}

// trialLine returns the line of a log about a finished trial: "round 3/8  random-fully
// failed 0 of 12,000  control 3,455  3.1 s". Where the run waits for hits of the control,
// those so far are printed instead.
func (p *Progress) trialLine(at result.Progress, t *result.Trial) string {
	p.nameLen = max(p.nameLen, layout.Width(at.Arm))
	requests := format.Thousands(t.Requests)
	text := fmt.Sprintf("%s  %s  failed %*s of %s", layout.PadRight(trialName(at), len("round 1/8")),
		layout.PadRight(at.Arm, p.nameLen), len(requests), format.Thousands(t.Failed), requests)
	if t.Control != nil && at.HitsWanted == 0 {
		text += fmt.Sprintf("  control %*s", len(requests), format.Thousands(t.Control.Failed))
	}
	text += "  " + format.Seconds(t.Seconds)
	if at.HitsWanted > 0 {
		text += fmt.Sprintf("  hits %s/%s", format.Thousands(at.Hits), format.Thousands(at.HitsWanted))
	}
	if n := t.Causes[result.Unexplained]; n > 0 {
		text += fmt.Sprintf("  %s unexplained", format.Thousands(n))
	}
	return text
}

// trialName returns "round 3/8", or "warm-up".
func trialName(at result.Progress) string {
	switch {
	case at.Round == 0:
		return "warm-up"
	case at.Rounds > 0:
		return fmt.Sprintf("round %*d/%d", len(strconv.Itoa(at.Rounds)), at.Round, at.Rounds)
	}
	return fmt.Sprintf("round %d", at.Round)
}

// Note writes a line that stays, also on a terminal.
func (p *Progress) Note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.Terminal {
		fmt.Fprint(p.out, eraseLine)
	}
	p.writeLine(text)
	if p.out.Terminal && !p.state.silent && p.stop != nil {
		p.redraw()
	}
}

// writeLine writes a line that stays.
func (p *Progress) writeLine(text string) { WriteLine(p.out, p.out.Screen(), text) }

// WriteLine writes text that stays: as one line to a log, where programs look for it, and
// divided between words on a screen of a known width.
func WriteLine(w io.Writer, on layout.Screen, text string) {
	if on.Width == 0 {
		fmt.Fprintln(w, on.Line(text))
		return
	}
	page := layout.NewPage(on)
	page.WriteLine(text)
	_, _ = io.WriteString(w, page.String())
}
