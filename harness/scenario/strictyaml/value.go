package strictyaml

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Value is one kind of value and the variable that it is read into, with both
// directions side by side.
type Value interface {
	// DescribeAllowed returns in words what may be written.
	DescribeAllowed() string

	// ReadNode sets the variable from n, or returns the problem of n. A value
	// that holds other values adds their faults to d; d is nil for a value that
	// is not in a file, and no other value uses it.
	ReadNode(d *Decoder, key string, n *yaml.Node) (problem string)

	// MakeNode returns a node that ReadNode reads; nil if the variable is not
	// set.
	MakeNode() *yaml.Node
}

// Span is a range of whole numbers, both ends included.
type Span struct{ Min, Max uint64 }

// SpanOf returns the range from min to max.
func SpanOf(min, max uint64) Span { return Span{min, max} }

// String returns the range in words: "1 to 64".
func (r Span) String() string { return fmt.Sprintf("%d to %d", r.Min, r.Max) }

// Contains reports whether number is in the range.
func (r Span) Contains(number uint64) bool { return r.Min <= number && number <= r.Max }

// ParseNode returns the number at n, or the problem of n.
func (r Span) ParseNode(n *yaml.Node) (number uint64, problem string) {
	switch {
	case !IsDecimal(n.Value):
		return 0, DescribeNode(n) + " is not a whole number"
	case !isPlain(n):
		return 0, DescribeNode(n) + " in quotes is text, not a whole number"
	}
	number, err := strconv.ParseUint(n.Value, 10, 64)
	if err != nil || !r.Contains(number) {
		return 0, CutText(n.Value) + " is out of range"
	}
	return number, ""
}

var decimalForm = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// IsDecimal reports whether text is a whole number in decimal digits. Octal,
// hexadecimal and 1_000 are numbers in YAML 1.1, each easy to misread; here they
// are not.
func IsDecimal(text string) bool { return decimalForm.MatchString(text) }

// Integer is a whole number in decimal digits.
type Integer[T int | uint64] struct {
	Into   *T
	Bounds Span
}

// DescribeAllowed implements [Value].
func (v Integer[T]) DescribeAllowed() string { return v.Bounds.String() }

// ReadNode implements [Value].
func (v Integer[T]) ReadNode(_ *Decoder, _ string, n *yaml.Node) string {
	number, problem := v.Bounds.ParseNode(n)
	if problem == "" {
		*v.Into = T(number)
	}
	return problem
}

// MakeNode implements [Value].
func (v Integer[T]) MakeNode() *yaml.Node {
	number := uint64(*v.Into)
	if !v.Bounds.Contains(number) {
		return nil
	}
	return ScalarNode(strconv.FormatUint(number, 10))
}

// OptionalInteger is an integer that is not written where it is 0.
type OptionalInteger struct{ Integer[int] }

// MakeNode implements [Value].
func (v OptionalInteger) MakeNode() *yaml.Node {
	if *v.Into == 0 {
		return nil
	}
	return v.Integer.MakeNode()
}

// Choice is one of a few words.
type Choice struct {
	Into *string
	Of   []string
}

// DescribeAllowed implements [Value].
func (v Choice) DescribeAllowed() string { return strings.Join(v.Of, ", ") }

// ReadNode implements [Value].
func (v Choice) ReadNode(_ *Decoder, _ string, n *yaml.Node) string {
	if !slices.Contains(v.Of, n.Value) {
		return DescribeNode(n) + " is not allowed"
	}
	*v.Into = n.Value
	return ""
}

// MakeNode implements [Value].
func (v Choice) MakeNode() *yaml.Node { return ScalarNode(*v.Into) }

// String is text that matches a pattern.
type String struct {
	Into    *string
	Pattern Pattern
}

// Pattern is a form of text. Without a regular expression, every text matches.
type Pattern struct {
	Form  *regexp.Regexp
	Words string         // describes the form
	Start *regexp.Regexp // matches the beginning of text of this form, at any length; may be nil
}

// describeMismatch returns the problem of text that does not match: the first
// character that is not allowed where it stands, if there is one.
func (p Pattern) describeMismatch(n *yaml.Node) string {
	if p.Start == nil || n.Value == "" {
		return DescribeNode(n) + " is not allowed"
	}
	good := len(p.Start.FindString(n.Value))
	if good == len(n.Value) {
		return fmt.Sprintf("%s has %d characters", DescribeNode(n), good)
	}
	r, _ := utf8.DecodeRuneInString(n.Value[good:])
	at := strconv.QuoteRune(r)
	if r > unicode.MaxASCII { // it may look like a character that is allowed
		at += fmt.Sprintf(" (%U)", r)
	}
	return fmt.Sprintf("%s at character %d is not allowed", at, good+1)
}

// DescribeAllowed implements [Value].
func (v String) DescribeAllowed() string { return v.Pattern.Words }

// ReadNode implements [Value]. It also stores text that does not match, so that a
// reference to a faulty name does not get a second fault. The file is refused
// anyway.
func (v String) ReadNode(_ *Decoder, _ string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return DescribeNode(n) + " is not text"
	}
	*v.Into = n.Value
	switch {
	case n.Tag != "!!str":
		return CutText(n.Value) + " is not text (put it in quotes)"
	case v.Pattern.Form != nil && !v.Pattern.Form.MatchString(n.Value):
		return v.Pattern.describeMismatch(n)
	}
	return ""
}

// MakeNode implements [Value].
func (v String) MakeNode() *yaml.Node {
	n := ScalarNode(*v.Into)
	if n != nil {
		n.Tag = "!!str" // makes the encoder quote text that would be read as a number
	}
	return n
}

// Boolean is true or false. YAML's other spellings (yes, on, True) are refused.
type Boolean struct{ Into *bool }

// DescribeAllowed implements [Value].
func (Boolean) DescribeAllowed() string { return "true, false" }

// ReadNode implements [Value].
func (v Boolean) ReadNode(_ *Decoder, _ string, n *yaml.Node) string {
	switch {
	case n.Value != "true" && n.Value != "false":
		return DescribeNode(n) + " is not a boolean"
	case !isPlain(n):
		return DescribeNode(n) + " in quotes is text, not a boolean"
	}
	*v.Into = n.Value == "true"
	return ""
}

// MakeNode implements [Value].
func (v Boolean) MakeNode() *yaml.Node {
	if !*v.Into {
		return nil
	}
	return ScalarNode("true")
}

// Duration is a Go duration, like 500ms.
type Duration struct {
	Into     *time.Duration
	Min, Max time.Duration
	Why      string // the reason for these bounds
}

// DescribeAllowed implements [Value].
func (v Duration) DescribeAllowed() string {
	return fmt.Sprintf("%s to %s (%s)", formatDuration(v.Min), formatDuration(v.Max), v.Why)
}

// ReadNode implements [Value].
func (v Duration) ReadNode(_ *Decoder, _ string, n *yaml.Node) string {
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		return DescribeNode(n) + " is not a duration like 500ms"
	case d < v.Min || d > v.Max:
		return CutText(n.Value) + " is out of range"
	}
	*v.Into = d
	return ""
}

// MakeNode implements [Value]. No duration is 0.
func (v Duration) MakeNode() *yaml.Node {
	if *v.Into == 0 {
		return nil
	}
	return ScalarNode(formatDuration(*v.Into))
}

// formatDuration returns a duration without the zeros at its end: 5m, and not 5m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if trimmed := strings.TrimSuffix(text, "m0s"); trimmed != text {
		text = trimmed + "m"
	}
	if trimmed := strings.TrimSuffix(text, "h0m"); trimmed != text {
		text = trimmed + "h"
	}
	return text
}

// IsEmpty reports whether n is null: an empty document, a key without a value,
// or a written null.
func IsEmpty(n *yaml.Node) bool { return n.Tag == "!!null" }

// isPlain reports whether n is written without quotes, on one line.
func isPlain(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Kind == yaml.ScalarNode && n.Style&quoted == 0
}

// ScalarNode returns the node of text; nil if text is empty.
func ScalarNode(text string) *yaml.Node {
	if text == "" {
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}
