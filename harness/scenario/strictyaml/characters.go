package strictyaml

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxMarks bounds the nodes of a file: a node takes a hundred times the memory of
// the byte that it is made from.
const maxMarks = 50_000

const byteOrderMark = '\ufeff'

// checkText reports whether the characters of data are allowed, before YAML reads
// them: YAML uses much memory for some, and does not report the place of others.
func (d *Decoder) checkText(data []byte) bool {
	if len(data) > MaxBytes {
		d.addFaultAt(1, 1, fmt.Sprintf("larger than %d MiB", MaxBytes>>20))
		return false
	}
	line, column, marks := 1, 0, 0
	for rest := bytes.TrimPrefix(data, []byte(string(byteOrderMark))); len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		column++
		switch {
		case r == utf8.RuneError && size == 1:
			d.addFaultAt(line, column, fmt.Sprintf("byte 0x%02x is not UTF-8; allowed: text in UTF-8", rest[0]))
			return false
		case !isText(r):
			d.addFaultAt(line, column, fmt.Sprintf("%U is not allowed; allowed: text without control characters", r))
			return false
		case isUnseen(r, rest[size:]):
			d.addFaultAt(line, column, fmt.Sprintf("%U is not allowed: editors do not show it, and it can hide a part of the file; allowed: visible text, and lines that end in LF or CR LF", r))
			return false
		case isMark(r):
			marks++
		}
		if marks > maxMarks {
			d.addFaultAt(line, column, fmt.Sprintf("more than %d lines, keys and entries; no such file has as many", maxMarks))
			return false
		}
		if r == '\n' {
			line, column = line+1, 0
		}
		rest = rest[size:]
	}
	return true
}

// isText reports whether YAML allows r (c-printable of YAML 1.2). The byte order
// mark is refused as well: within a file it is invisible, and breaks the file.
func isText(r rune) bool {
	switch {
	case r == '\t', r == '\n', r == '\r', ' ' <= r && r <= '~', r == '\u0085':
		return true
	case r == byteOrderMark, r == '\ufffe', r == '\uffff':
		return false
	}
	return r >= '\u00a0'
}

// isUnseen reports whether an editor may not show r, with next after it, so that a
// reader and YAML see different files. Line ends that are neither LF nor
// CR LF end a comment for YAML, and for few editors; bidirectional controls
// reorder the text that is shown (CVE-2021-42574); other format characters (class
// Cf) have no width. The two joiners are needed to write some languages.
func isUnseen(r rune, next []byte) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	switch r {
	case '\r':
		return !bytes.HasPrefix(next, []byte("\n"))
	case '\u0085', '\u2028', '\u2029':
		return true
	case nonJoiner, joiner:
		return false
	}
	return unicode.Is(unicode.Cf, r)
}

// isMark reports whether r separates or opens nodes, or ends a line: YAML makes no
// further node without such a character.
func isMark(r rune) bool {
	switch r {
	case ',', ':', '[', '{', '-', '?', '\n':
		return true
	}
	return false
}
