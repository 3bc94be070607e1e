package layout

import "strings"

// NameMost is the columns of a name, in a heading or before a line.
const NameMost = 24

// cellMost is the columns of a cell below a heading; no figure is as long.
const cellMost = 40

// Table has a line of headings. Its first column is aligned to the left, the others to
// the right.
type Table struct {
	Head  []string
	Marks []string // the footnotes of each heading; may be nil
	Rows  [][]string
	Keep  int // the first columns, which each part of a divided table has; at least 1
	Gap   int // blanks between columns; 0 is 3
}

// Mark returns the footnotes of a heading.
func (t Table) Mark(column int) string {
	if t.Marks == nil {
		return ""
	}
	return t.Marks[column]
}

// WriteTable writes a table, and an empty line after it. If it is wider than the screen,
// its columns are divided into parts. If even a part with one column is wider, each row
// is written as lines, one below the other.
func (p *Page) WriteTable(t Table) {
	lines := p.cells(t)
	widths := make([]int, len(t.Head))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], Width(cell))
		}
	}
	gap := t.Gap
	if gap == 0 {
		gap = 3
	}
	for keep := max(t.Keep, 1); keep > 0; keep-- {
		if parts := divide(widths, keep, gap, p.On.Columns()); parts != nil {
			for _, columns := range parts {
				p.writePart(lines, columns, widths, gap)
			}
			return
		}
	}
	p.writeStacked(lines)
}

// cells returns the texts of the table, the headings first.
func (p *Page) cells(t Table) [][]string {
	head := make([]string, len(t.Head))
	for i, name := range t.Head {
		head[i] = p.On.Shorten(name, NameMost) + p.On.Line(t.Mark(i))
	}
	lines := [][]string{head}
	for _, cells := range t.Rows {
		line := make([]string, len(head))
		for i := range min(len(cells), len(head)) {
			line[i] = p.On.Shorten(cells[i], cellMost)
		}
		lines = append(lines, line)
	}
	return lines
}

// divide returns the columns of each part, the first keep of which are in all of them. It
// returns nil if a column is too wide for a part.
func divide(widths []int, keep, gap, room int) (parts [][]int) {
	keep = min(keep, len(widths))
	var kept []int
	used := -gap
	for i := range keep {
		kept = append(kept, i)
		used += gap + widths[i]
	}
	if keep == len(widths) {
		if used > room {
			return nil
		}
		return [][]int{kept}
	}
	for i := keep; i < len(widths); {
		part, total := append([]int{}, kept...), used
		for ; i < len(widths) && total+gap+widths[i] <= room; i++ {
			part, total = append(part, i), total+gap+widths[i]
		}
		if len(part) == keep {
			return nil
		}
		parts = append(parts, part)
	}
	return parts
}

func (p *Page) writePart(lines [][]string, columns, widths []int, gap int) {
	for _, cells := range lines {
		line := PadRight(cells[columns[0]], widths[columns[0]])
		for _, i := range columns[1:] {
			line += strings.Repeat(" ", gap) + padLeft(cells[i], widths[i])
		}
		p.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	p.WriteString("\n")
}

// writeStacked writes each row as a line with its first cell, and lines with the others
// below it.
func (p *Page) writeStacked(lines [][]string) {
	for _, cells := range lines[1:] {
		for _, line := range wrap(cells[0], p.On.Columns()) {
			p.WriteString(line + "\n")
		}
		for i, cell := range cells[1:] {
			if cell == "" {
				continue
			}
			if text := "  " + lines[0][i+1] + " " + cell; Width(text) <= p.On.Columns() {
				p.WriteString(text + "\n")
				continue
			}
			p.WriteHanging("  ", lines[0][i+1])
			for _, line := range wrap(cell, p.On.Columns()-4) {
				p.WriteString("    " + line + "\n")
			}
		}
	}
	p.WriteString("\n")
}
