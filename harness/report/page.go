package report

import (
	"strings"
	"unicode/utf8"

	"snatlab/harness/printable"
)

const (
	pageWidth = 100 // columns of a page
	nameMax   = 24  // of a name in a heading
	cellMax   = 40  // of a cell below it; no figure is as long
	leadMax   = 80  // of the lead before a text
)

// A page is plain text of pageWidth columns; only a single word can be wider.
type page struct{ strings.Builder }

// writeLine writes one line. Text from outside cannot steer the terminal.
func (p *page) writeLine(text string) {
	p.WriteString(strings.TrimRight(printableLine(text), " ") + "\n")
}

// writeField writes a label and its text.
func (p *page) writeField(label, text string) {
	p.writeHanging(padRight(label, labelWidth), text)
}

// writeHanging writes lead and text. Further lines of the text are indented like the
// first.
func (p *page) writeHanging(lead, text string) {
	lead = shortenMiddle(lead, leadMax)
	indent := utf8.RuneCountInString(lead)
	for _, line := range wrapWords(text, pageWidth-indent) {
		p.writeLine(lead + line)
		lead = strings.Repeat(" ", indent)
	}
}

// wrapWords breaks text between words. It returns at least one line.
func wrapWords(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// alignColumns returns the lines of a table, with three spaces between columns.
func alignColumns(t table) []string {
	rows := [][]string{make([]string, 0, len(t.head))}
	for i, name := range t.head {
		rows[0] = append(rows[0], shortenMiddle(name, nameMax)+t.headMarks(i))
	}
	for _, cells := range t.rows {
		row := make([]string, len(cells))
		for i, cell := range cells {
			row[i] = shortenMiddle(cell, cellMax)
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(t.head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var lines []string
	for _, row := range rows {
		line := padRight(row[0], widths[0])
		for i, cell := range row[1:] {
			line += "   " + strings.Repeat(" ", widths[i+1]-utf8.RuneCountInString(cell)) + cell
		}
		lines = append(lines, line)
	}
	return lines
}

// shortenMiddle replaces the middle of a long text by "…": names mostly differ at
// their ends.
func shortenMiddle(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	half := (most - 1) / 2
	return string(runes[:half]) + "…" + string(runes[len(runes)-half:])
}

func padRight(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// printableLine returns s as one line of printable characters.
func printableLine(s string) string { return printable.Line(s) }
