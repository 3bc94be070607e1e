package progress

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
)

// eraseLine clears the line of the cursor.
const eraseLine = "\r\x1b[K"

// redrawEvery is how often the line of a terminal is drawn again, which keeps its times
// right while nothing else happens.
const redrawEvery = time.Second

// The columns of a bar.
const (
	barMost  = 30
	barLeast = 5
	barShare = 12 // of the screen's columns
)

// state is what the line of a terminal shows.
type state struct {
	phase   string
	running bool // a trial
	done    bool // the trial at is finished
	silent  bool // nothing is shown, since others print
	at      result.Progress
	begun   time.Time // the first round
	failed  int       // requests of all arms so far, without the warm-up
}

// redraw overwrites the line, and sees to it that it goes on being drawn.
func (p *Progress) redraw() {
	if p.begun.IsZero() {
		p.begun = time.Now()
	}
	p.state.silent = false
	p.keepDrawing()
	on := p.out.Screen()
	fmt.Fprint(p.out, eraseLine+drawLine(on, p.part, p.state, p.begun, time.Now()))
}

// keepDrawing starts the goroutine that redraws the line. Close ends it.
func (p *Progress) keepDrawing() {
	if p.stop != nil {
		return
	}
	ended := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(redrawEvery)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				p.mu.Lock()
				if !p.state.silent {
					p.redraw()
				}
				p.mu.Unlock()
			}
		}
	})
	p.stop = func() { close(ended); wait.Wait() }
}

// Close erases the line of a terminal. A closed Progress may be used again.
func (p *Progress) Close() {
	p.Say("")
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// drawLine returns the line for a screen. It is at most one column less wide than it: a
// terminal may wrap a full line. What matters least is left out first.
func drawLine(on layout.Screen, of part, s state, begun, now time.Time) string {
	room := on.Columns() - 1
	if on.Width > 0 && on.Width < layout.LeastWidth {
		room = max(1, on.Width-1)
	}
	head, tail := describeState(of, s, begun, now)
	if of.of > 0 {
		head = slices.Insert(head, 0, fmt.Sprintf("%s %d of %d", of.kind, of.n, of.of))
	}
	text := appendFitting("", head, on, room)
	if text == "" {
		return on.Shorten(head[0], room)
	}
	if width := min(barMost, max(barLeast, on.Columns()/barShare)); s.running && s.at.Round > 0 && layout.Width(text)+2+width <= room {
		text = on.Line(bar(totalShare(of, s), width)) + "  " + text
	}
	if of.name != "" { // it says more than the arm
		tail = slices.Insert(tail, max(1, len(tail)-2), of.name)
	}
	return appendFitting(text, tail, on, room)
}

// appendFitting appends parts to text, up to the first that does not fit.
func appendFitting(text string, parts []string, on layout.Screen, room int) string {
	for _, part := range parts {
		longer := on.Line(part)
		if text != "" {
			longer = text + "  " + longer
		}
		if layout.Width(longer) > room {
			break
		}
		text = longer
	}
	return text
}

// describeState returns the parts of the line that come first, and those that follow the
// bar. The most important ones are the first.
func describeState(of part, s state, begun, now time.Time) (head, tail []string) {
	at, elapsed := s.at, clock(now.Sub(begun))
	switch {
	case !s.running:
		return []string{s.phase}, []string{elapsed}
	case at.Round == 0:
		return []string{"warm-up"}, []string{elapsed, at.Arm}
	}
	current := at.TrialsDone
	if !s.done {
		current++
	}
	head = []string{fmt.Sprintf("trial %d", current)}
	if at.Trials > 0 {
		head[0] += fmt.Sprintf(" of %d", at.Trials)
	}
	if at.HitsWanted > 0 {
		head = append(head, fmt.Sprintf("hits %s/%s", format.Thousands(at.Hits), format.Thousands(at.HitsWanted)))
	}
	tail = []string{elapsed}
	if left, known := timeLeft(of, s, now); known {
		tail = append(tail, "ETA "+clock(left))
	}
	return head, append(tail, at.Arm, "failed "+format.Thousands(s.failed))
}

// totalShare returns the share that is done of the run, or of all parts where they are
// equal.
func totalShare(of part, s state) float64 {
	share := min(max(s.at.Share, 0), 1)
	if of.equal && of.of > 0 {
		return (float64(of.n-1) + share) / float64(of.of)
	}
	return share
}

// timeLeft returns how long it takes to the end, if it goes on as before.
func timeLeft(of part, s state, now time.Time) (left time.Duration, known bool) {
	share := totalShare(of, s)
	if share < 0.01 || s.begun.IsZero() {
		return 0, false
	}
	const most = 99 * time.Hour
	return min(most, time.Duration(float64(now.Sub(s.begun))*(1-share)/share)), true
}

// clock prints "0:05", "12:34" or "1:02:03".
func clock(d time.Duration) string {
	s := int(max(0, d).Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// bar draws a share in so many columns.
func bar(share float64, width int) string {
	full := int(share*float64(width) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}
