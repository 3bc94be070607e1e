// Package layout arranges text and tables for a screen: no line is wider than it, words
// are broken only if they are wider than a line, and a table that does not fit is
// divided. On a screen without UTF-8, signs have forms in ASCII.
package layout

import (
	"strings"
	"unicode"

	"snatlab/harness/printable"
)

const (
	DefaultWidth = 80  // columns, where the width of the output is not known
	LeastWidth   = 20  // narrower screens are written to as if they were so wide
	textMost     = 100 // columns of a paragraph on a wide screen: longer lines are hard to read
)

// Screen is what a report is printed on. The zero Screen has [DefaultWidth] columns and
// UTF-8.
type Screen struct {
	Width int  // columns
	ASCII bool // it cannot show other signs
}

// Columns returns the width of the screen.
func (s Screen) Columns() int {
	if s.Width == 0 {
		return DefaultWidth
	}
	return max(s.Width, LeastWidth)
}

// Line returns text as one line that the screen can show.
func (s Screen) Line(text string) string {
	text = printable.Line(text)
	if s.ASCII {
		return inASCII(text)
	}
	return text
}

// Shorten replaces the middle of a long text by "…": names mostly differ at their ends.
func (s Screen) Shorten(text string, most int) string {
	text = s.Line(text)
	if Width(text) <= most {
		return text
	}
	gap := s.Line("…")
	half := (most - Width(gap)) / 2
	runes := []rune(text)
	return cut(runes, half) + gap + cutEnd(runes, half)
}

// cut returns as many of the first runes as have a width of at most most.
func cut(runes []rune, most int) string {
	n := 0
	for n < len(runes) && Width(string(runes[:n+1])) <= most {
		n++
	}
	return string(runes[:n])
}

// cutEnd returns as many of the last runes as have a width of at most most.
func cutEnd(runes []rune, most int) string {
	n := len(runes)
	for n > 0 && Width(string(runes[n-1:])) <= most {
		n--
	}
	return string(runes[n:])
}

// asciiForms are the signs of our reports in ASCII. Blocks keep their width.
var asciiForms = strings.NewReplacer(
	"µ", "u", "±", "+/-", "≤", "<=", "≥", ">=", "…", "...", "×", "x", "→", "->", "┊", "|",
	"▁", "_", "▂", ".", "▃", ":", "▄", "-", "▅", "=", "▆", "+", "▇", "*", "█", "#", "░", ".")

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹"

// inASCII returns text in ASCII: a footnote ¹² as [12], and any sign without a form as a
// question mark.
func inASCII(text string) string {
	var b strings.Builder
	inNumber := false
	for _, r := range asciiForms.Replace(text) {
		digit := strings.IndexRune(superscripts, r)
		switch isDigit := digit >= 0; {
		case isDigit && !inNumber:
			b.WriteByte('[')
		case !isDigit && inNumber:
			b.WriteByte(']')
		}
		inNumber = digit >= 0
		switch {
		case inNumber:
			b.WriteByte("0123456789"[len([]rune(superscripts[:digit]))])
		case r > unicode.MaxASCII:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	if inNumber {
		b.WriteByte(']')
	}
	return b.String()
}

// firstUnusual is the first sign that does not take one column.
const firstUnusual = 0x300

// Width returns the columns that text takes.
func Width(text string) (n int) {
	for _, r := range text {
		switch {
		case r < firstUnusual:
			n++
		case unicode.Is(unicode.Mn, r):
		case isWide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// isWide reports whether terminals show r in two columns: most signs of East Asian
// scripts, and pictures.
func isWide(r rune) bool {
	for _, wide := range [][2]rune{{0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f},
		{0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}} {
		if wide[0] <= r && r <= wide[1] {
			return true
		}
	}
	return false
}

// PadRight appends blanks to text until it is so wide.
func PadRight(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}

// padLeft writes blanks before text until it is so wide.
func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-Width(text))) + text
}
