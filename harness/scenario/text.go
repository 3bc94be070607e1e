package scenario

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// maxMarks bounds what YAML makes of a file: a node takes a hundred times the
// memory of the byte that makes it.
const maxMarks = 50_000

const byteOrderMark = '\ufeff'

// checkText refuses what no scenario is, before YAML looks at it: YAML takes
// much memory for some of it, and does not say where the rest is.
func (d *decoder) checkText(data []byte) bool {
	if len(data) > MaxBytes {
		d.faultAt(1, 1, fmt.Sprintf("larger than %d MiB", MaxBytes>>20))
		return false
	}
	line, column, marks := 1, 0, 0
	for rest := bytes.TrimPrefix(data, []byte(string(byteOrderMark))); len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			d.faultAt(line, column, fmt.Sprintf("byte 0x%02x is not UTF-8; allowed: text in UTF-8", rest[0]))
			return false
		case !isText(r):
			d.faultAt(line, column, fmt.Sprintf("%U is not allowed; allowed: text without control characters", r))
			return false
		case isMark(r):
			marks++
		}
		if marks > maxMarks {
			d.faultAt(line, column, fmt.Sprintf("more than %d lines, keys and entries; no such file has as many", maxMarks))
			return false
		}
		if r == '\n' {
			line, column = line+1, 0
		}
		rest = rest[size:]
	}
	return true
}

// isText tells the characters that YAML allows (c-printable of YAML 1.2) but for
// the byte order mark: within a file it is invisible, and breaks it.
func isText(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', ' ' <= r && r <= '~', r == '\u0085':
		return true
	case r == byteOrderMark, r == '\ufffe', r == '\uffff':
		return false
	}
	return r >= '\u00a0'
}

// isMark tells the characters without which YAML makes no further node: those
// that separate or open one, and the line ends.
func isMark(r rune) bool {
	switch r {
	case ',', ':', '[', '{', '-', '?', '\n', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}
