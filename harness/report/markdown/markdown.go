// Package markdown writes Markdown in the dialect of GitHub and GitLab. Text from outside
// ends no cell and no paragraph, and starts no heading.
package markdown

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"snatlab/harness/printable"
	"snatlab/harness/report/layout"
)

// Document is the text of a document, from its beginning.
type Document struct{ strings.Builder }

// WriteBlock writes a heading or a paragraph, and the empty line after it.
func (d *Document) WriteBlock(format string, args ...any) {
	fmt.Fprintf(d, format+"\n\n", args...)
}

// WriteList writes a list with an entry for each text from outside.
func (d *Document) WriteList(items ...string) {
	for _, item := range items {
		fmt.Fprintf(d, "- %s\n", EscapeParagraph(item))
	}
	d.WriteString("\n")
}

// WriteTable writes a table whose first left columns are aligned to the left.
func (d *Document) WriteTable(t layout.Table, left int) {
	marks := make([]string, len(t.Head))
	for i := range marks {
		marks[i] = "--:"
		if i < left {
			marks[i] = ":--"
		}
	}
	heads := slices.Clone(t.Head)
	for i := range heads {
		heads[i] += t.Mark(i)
	}
	d.writeRow(heads)
	d.WriteString("|" + strings.Join(marks, "|") + "|\n")
	for _, row := range t.Rows {
		d.writeRow(row)
	}
	d.WriteString("\n")
}

func (d *Document) writeRow(cells []string) {
	d.WriteString("|")
	for _, cell := range cells {
		text := Escape(strings.TrimLeft(cell, " "))
		if strings.HasPrefix(cell, " ") {
			text = "&emsp;" + text // a part of the row above
		}
		fmt.Fprintf(d, " %s |", text)
	}
	d.WriteString("\n")
}

// WriteFootnotes writes a paragraph for each footnote: a list would be renumbered by
// the renderer.
func (d *Document) WriteFootnotes(warnings []string) {
	for i, text := range warnings {
		d.WriteBlock("%s %s", layout.Superscript(i+1), Escape(text))
	}
}

// Escape escapes text from outside, also for a cell of a table.
func Escape(s string) string {
	return escapes.Replace(printable.Line(s))
}

// EscapeParagraph also escapes the beginning of text, which could start a heading, a
// list, a quotation or a horizontal line instead of a paragraph.
func EscapeParagraph(s string) string {
	return paragraphOpening.ReplaceAllString(Escape(strings.TrimSpace(s)), `$1\$2`)
}

var paragraphOpening = regexp.MustCompile(`^([0-9]*)([-#>+=~_.)])`)

var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", `\<`, "|", `\|`, "&", `\&`)
