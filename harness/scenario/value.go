package scenario

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// value is one kind of value and the variable that it is for, with both
// directions side by side.
type value interface {
	// allowed says in words what may be written.
	allowed() string

	// read sets the variable from n, or gives what is wrong with n. Only
	// mapping and list use the decoder: for the faults of what they hold.
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
		return describe(n) + " is not allowed"
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

// share is a least share in percent, kept as a number from 0 to 1.
type share struct{ into **float64 }

var shareForm = regexp.MustCompile(`^>= *((?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,3})?) *%$`)

func (share) allowed() string {
	return `">=0%" to ">=100%", with at most three decimals`
}

func (v share) read(_ *decoder, _ string, n *yaml.Node) string {
	match := shareForm.FindStringSubmatch(n.Value)
	if match == nil {
		return describe(n) + " is not a reduction"
	}
	// Through the exponent, since 99.9/100 is not the float nearest to 0.999.
	f, err := strconv.ParseFloat(match[1]+"e-2", 64)
	if err != nil || f > 1 {
		return describe(n) + " is out of range"
	}
	*v.into = &f
	return ""
}

func (v share) node() *yaml.Node {
	if *v.into == nil {
		return nil
	}
	percent := math.Round(**v.into*1e5) / 1e3
	n := scalar(">=" + strconv.FormatFloat(percent, 'f', -1, 64) + "%")
	n.Style = yaml.DoubleQuotedStyle
	return n
}

// address is where a server on another machine listens.
type address struct{ into *netip.AddrPort }

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (address) allowed() string {
	return "IPv4:port of another machine, like 192.0.2.7:9000"
}

func (v address) read(_ *decoder, _ string, n *yaml.Node) string {
	a, err := netip.ParseAddrPort(n.Value)
	ip := a.Addr()
	switch {
	case err != nil || !ip.Is4():
		return describe(n) + " is not an IPv4 address with a port"
	case a.Port() == 0:
		return describe(n) + " has port 0"
	case ip.IsLoopback():
		return describe(n) + " is loopback, which no masquerade rule leads to"
	case ip.IsUnspecified(), ip.IsMulticast(), ip == broadcast:
		return describe(n) + " is not the address of one machine"
	}
	*v.into = a
	return ""
}

func (v address) node() *yaml.Node {
	if !v.into.IsValid() {
		return nil
	}
	return scalar(v.into.String())
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
