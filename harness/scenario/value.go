package scenario

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// value is one kind of value and the variable that it is for, with both
// directions side by side.
type value interface {
	// allowed says in words what may be written.
	allowed() string

	// read sets the variable from n, or gives what is wrong with n. Only
	// mapping, list and sysctls use the decoder: for the faults of what they
	// hold.
	read(d *decoder, key string, n *yaml.Node) (problem string)

	// node is what read takes; nil if the variable is not set.
	node() *yaml.Node
}

// span is a range of whole numbers, both ends included.
type span struct{ min, max uint64 }

func (r span) String() string           { return fmt.Sprintf("%d to %d", r.min, r.max) }
func (r span) holds(number uint64) bool { return r.min <= number && number <= r.max }

// Octal, hexadecimal and 1_000 are numbers to YAML 1.1, each to be misread by
// somebody; here they are not.
var decimal = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

func (r span) parse(n *yaml.Node) (number uint64, problem string) {
	switch {
	case !decimal.MatchString(n.Value):
		return 0, describe(n) + " is not a whole number"
	case !plain(n):
		return 0, describe(n) + " in quotes is text, not a whole number"
	}
	number, err := strconv.ParseUint(n.Value, 10, 64)
	if err != nil || !r.holds(number) {
		return 0, cut(n.Value) + " is out of range"
	}
	return number, ""
}

// integer is a whole number in decimal digits.
type integer[T int | uint64] struct {
	into   *T
	bounds span
}

func (v integer[T]) allowed() string { return v.bounds.String() }

func (v integer[T]) read(_ *decoder, _ string, n *yaml.Node) string {
	number, problem := v.bounds.parse(n)
	if problem == "" {
		*v.into = T(number)
	}
	return problem
}

func (v integer[T]) node() *yaml.Node {
	number := uint64(*v.into)
	if !v.bounds.holds(number) {
		return nil
	}
	return scalar(strconv.FormatUint(number, 10))
}

// count is an integer that is left out where it is 0.
type count struct{ integer[int] }

func (v count) node() *yaml.Node {
	if *v.into == 0 {
		return nil
	}
	return v.integer.node()
}

// rate is a whole number of events per second, or "max", which is 0.
type rate struct {
	into   *Rate
	bounds span
}

const maxRate = "max"

func (v rate) allowed() string { return maxRate + ", or " + v.bounds.String() }

func (v rate) read(_ *decoder, _ string, n *yaml.Node) string {
	if n.Value == maxRate {
		*v.into = 0
		return ""
	}
	number, problem := v.bounds.parse(n)
	if problem == "" {
		*v.into = Rate(number)
	}
	return problem
}

func (v rate) node() *yaml.Node {
	if *v.into == 0 {
		return scalar(maxRate)
	}
	return scalar(strconv.Itoa(int(*v.into)))
}

// choice is one of a few words.
type choice struct {
	into *string
	of   []string
}

func (v choice) allowed() string { return strings.Join(v.of, ", ") }

func (v choice) read(_ *decoder, _ string, n *yaml.Node) string {
	if !slices.Contains(v.of, n.Value) {
		return describe(n) + " is not allowed"
	}
	*v.into = n.Value
	return ""
}

func (v choice) node() *yaml.Node { return scalar(*v.into) }

// text is text that matches a pattern.
type text struct {
	into    *string
	pattern pattern
}

// pattern is a form of text; without a regular expression, any text is.
type pattern struct {
	form  *regexp.Regexp
	words string
	start *regexp.Regexp // matches what text of the form may begin with, of any length; may be nil
}

// problem returns the fault of text that is not of the form: its first character
// that is not allowed where it stands, if there is one.
func (p pattern) problem(n *yaml.Node) string {
	if p.start == nil || n.Value == "" {
		return describe(n) + " is not allowed"
	}
	good := len(p.start.FindString(n.Value))
	if good == len(n.Value) {
		return fmt.Sprintf("%s has %d characters", describe(n), good)
	}
	r, _ := utf8.DecodeRuneInString(n.Value[good:])
	at := strconv.QuoteRune(r)
	if r > unicode.MaxASCII { // it may look like one that is allowed
		at += fmt.Sprintf(" (%U)", r)
	}
	return fmt.Sprintf("%s at character %d is not allowed", at, good+1)
}

func (v text) allowed() string { return v.pattern.words }

// read also keeps text of a wrong form, so that an expectation that names an
// arm of a bad name is not blamed for it. The file is refused all the same.
func (v text) read(_ *decoder, _ string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return describe(n) + " is not text"
	}
	*v.into = n.Value
	switch {
	case n.Tag != "!!str":
		return cut(n.Value) + " is not text (put it in quotes)"
	case v.pattern.form != nil && !v.pattern.form.MatchString(n.Value):
		return v.pattern.problem(n)
	}
	return ""
}

func (v text) node() *yaml.Node {
	n := scalar(*v.into)
	if n != nil {
		n.Tag = "!!str" // quotes what would be read as a number
	}
	return n
}

// boolean is true or false; yes, on and True are not.
type boolean struct{ into *bool }

func (boolean) allowed() string { return "true, false" }

func (v boolean) read(_ *decoder, _ string, n *yaml.Node) string {
	switch {
	case n.Value != "true" && n.Value != "false":
		return describe(n) + " is not a boolean"
	case !plain(n):
		return describe(n) + " in quotes is text, not a boolean"
	}
	*v.into = n.Value == "true"
	return ""
}

func (v boolean) node() *yaml.Node {
	if !*v.into {
		return nil
	}
	return scalar("true")
}

// duration is a Go duration, like 500ms.
type duration struct {
	into     *time.Duration
	min, max time.Duration
	why      string // these bounds
}

func (v duration) allowed() string {
	return fmt.Sprintf("%s to %s (%s)", v.min, v.max, v.why)
}

func (v duration) read(_ *decoder, _ string, n *yaml.Node) string {
	d, err := time.ParseDuration(n.Value)
	switch {
	case err != nil:
		return describe(n) + " is not a duration like 500ms"
	case d < v.min || d > v.max:
		return cut(n.Value) + " is out of range"
	}
	*v.into = d
	return ""
}

func (v duration) node() *yaml.Node { return scalar(v.into.String()) }

// share bounds a share: in percent when written, kept as a number from 0 on.
type share struct {
	into **float64
	sign string  // ">=" or "<="
	most float64 // that the bound may be
}

var shareForm = regexp.MustCompile(`^([<>]=) *((?:0|[1-9][0-9]{0,3})(?:\.[0-9]{1,3})?) *%$`)

func (v share) allowed() string {
	return fmt.Sprintf("%q to %q, with at most three decimals", v.percent(0), v.percent(v.most))
}

func (v share) read(_ *decoder, _ string, n *yaml.Node) string {
	match := shareForm.FindStringSubmatch(n.Value)
	if match == nil || match[1] != v.sign {
		return describe(n) + " is not allowed"
	}
	// Through the exponent, since 99.9/100 is not the float nearest to 0.999.
	f, err := strconv.ParseFloat(match[2]+"e-2", 64)
	if err != nil || f > v.most {
		return describe(n) + " is out of range"
	}
	*v.into = &f
	return ""
}

func (v share) node() *yaml.Node {
	if *v.into == nil {
		return nil
	}
	n := scalar(v.percent(**v.into))
	n.Style = yaml.DoubleQuotedStyle
	return n
}

func (v share) percent(share float64) string {
	return v.sign + strconv.FormatFloat(math.Round(share*1e5)/1e3, 'f', -1, 64) + "%"
}

// plain tells whether n is written without quotes, on one line.
func plain(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Kind == yaml.ScalarNode && n.Style&quoted == 0
}

// scalar is the node of text; nil of none.
func scalar(text string) *yaml.Node {
	if text == "" {
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}
