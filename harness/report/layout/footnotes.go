package layout

import (
	"fmt"
	"strconv"
	"strings"

	"snatlab/harness/format"
)

// Warnings are footnotes, numbered from 1.

// marksMax is the number of footnotes that one place refers to.
const marksMax = 3

// NotesMax is the number of warnings that a screen shows. The JSON holds them all.
const NotesMax = 8

// Marks returns the signs that refer to footnotes, each after a blank.
func Marks(numbers []int) (text string) {
	for i, n := range numbers {
		if i == marksMax {
			return text + " …"
		}
		text += " " + Superscript(n)
	}
	return text
}

// Superscript prints a number above the line.
func Superscript(n int) string {
	return strings.Map(func(digit rune) rune { return []rune(superscripts)[digit-'0'] }, strconv.Itoa(n))
}

// WriteFootnotes writes the footnotes, and how many more there are in a file or a form
// that has them all. An empty line follows.
func (p *Page) WriteFootnotes(notes []string, more int, where string) {
	for i, text := range notes {
		p.WriteHanging(PadRight(Superscript(i+1), 2), text)
	}
	if more > 0 {
		p.WriteHanging("  ", fmt.Sprintf("and %s, in %s", format.Plural(more, "more warning", "more warnings"), where))
	}
	if len(notes) > 0 {
		p.WriteLine("")
	}
}
