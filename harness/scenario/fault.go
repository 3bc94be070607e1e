package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Fault is one thing that is wrong with a scenario file. Lines and columns
// count from 1; columns count characters.
type Fault struct {
	File         string
	Line, Column int
	Message      string
}

// String is the fault as compilers write theirs: file:line:column: message.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Faults is everything that is wrong with a file, in the order of its lines
// and columns. It is the error that [Parse] gives.
type Faults []Fault

// Error is one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Bounds of what a file of 1 MiB can make us print, and look for.
const (
	maxFaults    = 100
	enoughFaults = 5000
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

// describe names what stands at n, for a message.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return quote(n.Value)
	}
}

func quote(text string) string { return fmt.Sprintf("%q", cut(text)) }

// cut keeps text that is echoed from turning a message into a page.
func cut(text string) string {
	const most = 40
	for i := range text {
		if i >= most {
			return text[:i] + "..."
		}
	}
	return text
}

// didYouMean suggests the one of words that text is a typo of, or nothing.
func didYouMean(text string, words []string) string {
	if len(text) > 64 { // no name is longer, and a megabyte is costly to compare
		return ""
	}
	nearest, least := "", min(len(text), 2+len(text)/4) // a typo leaves some of the word
	for _, word := range words {
		if d := distance(text, word); d < least {
			nearest, least = word, d
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", nearest)
}

// distance is the number of bytes to insert, delete or replace, or of
// neighbours to swap (Levenshtein, with Damerau's transpositions).
func distance(a, b string) int {
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
