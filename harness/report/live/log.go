package live

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result/watched"
)

// Log shows a watch as lines: one at each interval, and what it means when that changes.
type Log struct {
	w     io.Writer
	width int // 0: no limit
	told  []watched.MeaningCode
	head  bool
}

// NewLog returns a log on w. On a terminal it breaks lines between words.
func NewLog(w io.Writer, width int) *Log { return &Log{w: w, width: width} }

// noLimit is the width of a log that is no terminal.
const noLimit = 1 << 20

// Show writes the lines of one interval.
func (l *Log) Show(w *watched.State) error {
	d := drawing{width: noLimit}
	if l.width > 0 {
		d.width = max(l.width, leastWidth)
	}
	if !l.head {
		d.addHead(w)
		l.head = true
	}
	if w.Seconds > 0 || w.Restarts > 0 {
		lead := w.Time.Format("15:04:05") + "  "
		d.addHanging(lead, describeRates(w))
	}
	var codes []watched.MeaningCode
	for _, m := range w.Meanings {
		codes = append(codes, m.Code)
	}
	if !slices.Equal(codes, l.told) {
		d.addMeanings(w)
		d.addMissing(w.Missing)
		d.addLine("")
		l.told = codes
	}
	_, err := io.WriteString(l.w, strings.Join(texts(d.lines), "\n")+"\n")
	return err
}

// describeRates returns the entries, and the counters that moved.
func describeRates(w *watched.State) string {
	var parts []string
	if w.Entries != nil {
		parts = append(parts, format.Plural(int(*w.Entries), "entry", "entries"))
	}
	for _, name := range watched.Counters {
		if c := w.Counters[name]; c.PerSecond > 0 {
			parts = append(parts, fmt.Sprintf("%s %s/s", name, formatRate(c.PerSecond)))
		}
	}
	if w.Restarts > 0 && w.Seconds == 0 {
		parts = append(parts, "the counters went back, and counting began again")
	}
	return strings.Join(parts, ", ")
}

// WriteScreen writes one screen without a limit of its height.
func WriteScreen(out io.Writer, w *watched.State, width int, colour bool) error {
	_, err := io.WriteString(out, strings.Join(Screen(w, Size{Width: width}, colour), "\n")+"\n")
	return err
}
