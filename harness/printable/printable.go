// Package printable makes text that others wrote safe to print. Such text can
// neither steer a terminal nor pass for another line of the output: control
// characters, escape sequences and the controls of writing direction are
// replaced.
package printable

import (
	"strings"
	"unicode"
)

// Line returns text as one line of printable characters.
func Line(text string) string { return strings.Map(replaceRune, text) }

// Lines returns text with its line breaks and tabs kept, and everything else as
// [Line] returns it.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return replaceRune(r)
	}, text)
}

// replaceRune replaces characters that move the cursor or are invisible. Bytes that
// are not UTF-8 arrive as U+FFFD, which is printed.
func replaceRune(r rune) rune {
	switch {
	case unicode.IsPrint(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	default:
		return '?'
	}
}
