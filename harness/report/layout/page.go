package layout

import "strings"

// LabelWidth is the columns before the text of a field.
const LabelWidth = 10

const (
	leastText = 30 // columns that a text has beside its lead; else it is below it
	leadMost  = 80 // columns of a lead
)

// Page is text for a screen. Text from outside cannot steer the terminal.
type Page struct {
	strings.Builder
	On Screen
}

// NewPage returns an empty page for a screen.
func NewPage(on Screen) Page { return Page{On: on} }

// WriteLine writes one line. It is divided between words if it is wider than the screen.
func (p *Page) WriteLine(text string) {
	text = strings.TrimRight(p.On.Line(text), " ")
	if Width(text) > p.On.Columns() {
		p.WriteHanging("", text)
		return
	}
	p.WriteString(text + "\n")
}

// WriteLines writes lines, and an empty line after them.
func (p *Page) WriteLines(lines []string) {
	for _, line := range lines {
		p.WriteLine(line)
	}
	p.WriteLine("")
}

// WriteField writes a label and its text.
func (p *Page) WriteField(label, text string) {
	p.WriteHanging(PadRight(label, LabelWidth), text)
}

// WriteHanging writes lead and text. Further lines of the text are indented like the
// first. On a narrow screen the text is below its lead.
func (p *Page) WriteHanging(lead, text string) {
	width := min(p.On.Columns(), textMost)
	lead = p.On.Shorten(lead, leadMost)
	if indent := Width(lead); indent > 2 && width-indent < leastText {
		lead = strings.TrimSpace(lead)
		if Width(lead) <= 2 { // a mark, or nothing
			lead = strings.TrimRight("  "+lead, " ") + " "
		} else {
			p.writeLead(lead, width)
			lead = "  "
		}
	}
	indent := Width(lead)
	for _, line := range wrap(p.On.Line(text), width-indent) {
		p.WriteString(strings.TrimRight(lead+line, " ") + "\n")
		lead = strings.Repeat(" ", indent)
	}
}

// writeLead writes a lead on lines of its own.
func (p *Page) writeLead(lead string, width int) {
	lines := []string{lead}
	if Width(lead) > width {
		lines = wrap(lead, width)
	}
	for _, line := range lines {
		p.WriteString(line + "\n")
	}
}

// wrap divides text into lines of at most width columns, between words. It returns at
// least one line. A word that is wider than a line is broken.
func wrap(text string, width int) []string {
	var lines []string
	used := 0 // columns of the last line
	for _, word := range words(text, width) {
		n := Width(word)
		if used > 0 && used+1+n <= width {
			lines[len(lines)-1] += " " + word
			used += 1 + n
			continue
		}
		lines, used = append(lines, word), n
	}
	if lines == nil {
		return []string{""}
	}
	return lines
}

// words returns the words of text. A number and its unit are one, and a word that is
// wider than width is cut into several.
func words(text string, width int) (all []string) {
	for _, word := range strings.Fields(text) {
		if n := len(all) - 1; n >= 0 && isUnit(word) && Width(all[n])+1+Width(word) <= width {
			all[n] += " " + word
			continue
		}
		for runes := []rune(word); len(runes) > 0; {
			part := cut(runes, max(width, 2)) // a sign is at most two columns wide
			all = append(all, part)
			runes = runes[len([]rune(part)):]
		}
	}
	return all
}

// isUnit reports whether a word belongs to the number before it.
func isUnit(word string) bool {
	switch strings.TrimRight(word, ").,;:") {
	case "%", "µs", "us", "ms", "s":
		return true
	}
	return false
}
