package live

import (
	"strings"

	"snatlab/harness/printable"
)

// lostSign stands before what says that connections are lost.
const lostSign = "! "

// line is a line of a screen, of ASCII characters.
type line struct {
	text  string
	style string // an escape sequence, or empty
}

const (
	styleLost = "\x1b[1;31m" // bold red
	styleHead = "\x1b[1m"
	styleOff  = "\x1b[0m"
)

// cut shortens a line to a width. Only a word that is wider than the screen needs it.
func (l line) cut(width int) line {
	if width = max(width, 0); len(l.text) > width {
		l.text = l.text[:width]
	}
	return l
}

func (l line) paint(colour bool) line {
	if colour && l.style != "" {
		l.text = l.style + l.text + styleOff
	}
	return l
}

func texts(lines []line) (all []string) {
	for _, l := range lines {
		all = append(all, l.text)
	}
	return all
}

// drawing collects lines.
type drawing struct {
	width  int
	colour bool
	lines  []line
}

// take returns the lines so far, and begins again.
func (d *drawing) take() []line {
	lines := d.lines
	d.lines = nil
	return lines
}

// addLine adds a line as it is.
func (d *drawing) addLine(text string) {
	text = strings.TrimRight(toASCII(text), " ")
	style := ""
	switch {
	case strings.HasPrefix(text, lostSign):
		style = styleLost
	case len(d.lines) == 0 && text != "" || strings.HasSuffix(text, ":"):
		style = styleHead
	}
	d.lines = append(d.lines, line{text, style})
}

// addHanging adds text after a lead. Further lines of the text are indented as the first,
// as far as that leaves room for words.
func (d *drawing) addHanging(lead, text string) {
	indent := len(lead)
	if d.width-indent < leastText {
		indent = min(indent, 2)
	}
	words := strings.Fields(toASCII(text))
	current := lead
	empty := true // no word on the line yet
	for _, word := range words {
		switch {
		case empty && (len(current)+len(word) <= d.width || strings.TrimSpace(current) == ""):
			current += word
		case !empty && len(current)+1+len(word) <= d.width:
			current += " " + word
		default:
			d.addLine(current)
			current = strings.Repeat(" ", indent) + word
		}
		empty = false
	}
	d.addLine(current)
}

// leastText is the least width of a text that is indented below its lead.
const leastText = 20

// toASCII returns text from outside in printable ASCII characters: each is one column
// wide on every terminal, in every locale.
func toASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, printable.Line(text))
}
