package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Fault is one mistake in a file. Lines and columns count from 1; columns count
// characters.
type Fault struct {
	File         string
	Line, Column int
	Message      string
}

// String returns the fault in the form of compilers: file:line:column: message.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Faults is all mistakes in a file, in the order of their lines and columns. It
// is the error of [Decoder.Err].
type Faults []Fault

// Error returns the faults, one on each line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// A file of 1 MiB can hold many faults. These constants bound the work.
const (
	maxFaults    = 100  // that are printed
	enoughFaults = 5000 // after which the file is not read further
)

func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if len(fs) > maxFaults {
		last := fs[maxFaults-1]
		last.Message = fmt.Sprintf("and %d more faults from here on", len(fs)-maxFaults+1)
		if len(fs) >= enoughFaults {
			last.Message = fmt.Sprintf("and more than %d faults from here on", enoughFaults-maxFaults)
		}
		fs = append(fs[:maxFaults-1:maxFaults-1], last)
	}
	return fs
}

// DescribeNode returns the contents of n for a message.
func DescribeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return QuoteText(n.Value)
	}
}

// QuoteText returns text in quotes, cut as [CutText] cuts it.
func QuoteText(text string) string { return fmt.Sprintf("%q", CutText(text)) }

// CutText returns the beginning of text, so that a long value does not fill a
// message.
func CutText(text string) string {
	const most = 40
	for i := range text {
		if i >= most {
			return text[:i] + "..."
		}
	}
	return text
}

// DidYouMean returns a suggestion of the one of words that text is probably a
// misspelling of; empty if there is none.
func DidYouMean(text string, words []string) string {
	if len(text) > 64 { // no name is longer, and comparing a megabyte is slow
		return ""
	}
	nearest, least := "", min(len(text), 2+len(text)/4) // a misspelling keeps a part of the word
	for _, word := range words {
		if d := EditDistance(text, word); d < least {
			nearest, least = word, d
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// EditDistance returns the number of bytes to insert, delete or replace, or of
// neighbours to swap, that turn a into b (Levenshtein, with Damerau's
// transpositions).
func EditDistance(a, b string) int {
	above2, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above2, above, row = above, row, above2
		row[0] = i + 1
		for j := range len(b) {
			replace := above[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, above[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above2[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
