package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/place"
)

// Read parses the file at path. What is wrong with its contents is [Faults];
// any other error means that the file could not be read. A pipe or a device may
// have no end, and keep who opens it waiting: those are not read.
func Read(path string) (*Scenario, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// readFile reads a file, but one byte more than allowed at most.
func readFile(path string) ([]byte, error) {
	f, err := place.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return data, nil
}

// Parse gives the valid scenario that data describes, or [Faults]: all that is
// wrong with it, under the name file.
func Parse(file string, data []byte) (*Scenario, error) {
	d := &decoder{file: file, broken: map[*yaml.Node]bool{}}
	s := Default()
	root := d.document(data)
	if schema := schemaOf(root); schema != "" {
		d.fault(root, fmt.Sprintf("this file was written by snatlab (schema: %s), it is not a scenario; `snatlab report` prints a result", quote(schema)))
	} else if root != nil {
		d.value(field{key: "scenario", value: mapping{fields: scenarioFields(&s)}}, root)
		if !d.full() { // else not all of it was read
			d.check(&s, root)
		}
	}
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return &s, nil
}

// schemaOf returns the schema that a file of snatlab's own names, such as
// result.json, which YAML can read too.
func schemaOf(root *yaml.Node) string {
	if root == nil || root.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "schema" && strings.HasPrefix(root.Content[i+1].Value, "snatlab.") {
			return root.Content[i+1].Value
		}
	}
	return ""
}

// Document gives the root of the one YAML document in data, bounded and not
// expanded, for files that are kept beside scenarios; null for an empty one. It is
// nil after a fault.
func Document(file string, data []byte) (*yaml.Node, Faults) {
	d := &decoder{file: file, broken: map[*yaml.Node]bool{}}
	root := d.document(data)
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	return root, nil
}

// decoder collects the faults of one file.
type decoder struct {
	file   string
	faults Faults
	broken map[*yaml.Node]bool // nodes with a fault
}

func (d *decoder) fault(n *yaml.Node, message string) {
	d.broken[n] = true
	d.faultAt(n.Line, n.Column, message)
}

func (d *decoder) faultAt(line, column int, message string) {
	d.faults = append(d.faults, Fault{d.file, line, column, message})
}

// full tells that there are faults enough: nothing more is looked at.
func (d *decoder) full() bool { return len(d.faults) >= enoughFaults }

// document gives the root of the one document in data, or nil after a fault.
func (d *decoder) document(data []byte) *yaml.Node {
	if !d.checkText(data) {
		return nil
	}
	// Into a yaml.Node, since that leaves aliases alone: decoding into
	// anything else expands them.
	var document, second yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(data))
	switch err := documents.Decode(&document); {
	case errors.Is(err, io.EOF):
		document.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}}
	case err != nil:
		d.syntax(err, data)
		return nil
	}
	switch err := documents.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err, data)
	default:
		d.fault(&second, "a second document begins; allowed: one in a file")
	}
	return document.Content[0]
}

var (
	yamlError = regexp.MustCompile(`(?s)^yaml: (?:line ([0-9]+): )?(.*)$`)

	// yaml.v3 counts the lines of these from 0: they come from its parser,
	// all others with a line from its scanner (decode.go, parser.fail).
	fromParser = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|',' or|<)`)

	bareShare = regexp.MustCompile(`[:,{]\s*>=`) // a bare "<=" is no error: it is text
	tabIndent = regexp.MustCompile(`^ *\t`)
)

// lineOf gives the text of a line, which counts from 1; nil if there is none.
func lineOf(data []byte, number int) []byte {
	for text := range bytes.Lines(data) {
		if number--; number == 0 {
			return text
		}
	}
	return nil
}

// syntax turns an error of yaml.v3, which is text only, into a fault.
func (d *decoder) syntax(err error, data []byte) {
	line, problem := 1, err.Error()
	if m := yamlError.FindStringSubmatch(problem); m != nil {
		problem = m[2]
		if m[1] != "" {
			line, _ = strconv.Atoi(m[1])
			if fromParser.MatchString(problem) {
				line++
			}
		}
	}
	message := "YAML: " + problem
	switch text := lineOf(data, line); {
	case bareShare.Match(text):
		message += ` (text that begins with ">" needs quotes: ">=95%")`
	case tabIndent.Match(text):
		message += " (a tab does not indent; spaces do)"
	}
	if strings.HasPrefix(problem, "unknown anchor") {
		message += "; aliases are not allowed"
	}
	d.faultAt(line, 1, message)
}

// value reads the value of a field from n.
func (d *decoder) value(f field, n *yaml.Node) {
	if !d.bare(f.key+": ", n) {
		return
	}
	problem := "is empty"
	if n.Tag != "!!null" {
		problem = f.value.read(d, f.key, n)
	}
	if problem != "" {
		d.fault(n, complaint(f, n, problem))
	}
}

// complaint is the one form of a message about the value at n.
func complaint(f field, n *yaml.Node, problem string) string {
	message := f.key + ": " + problem + "; allowed: " + f.value.allowed()
	if c, ok := f.value.(choice); ok {
		message += didYouMean(n.Value, c.of)
	}
	return message
}

// bare refuses what YAML may put around a node. An anchor alone does no harm:
// what it stands at can still be read.
func (d *decoder) bare(prefix string, n *yaml.Node) bool {
	if n.Anchor != "" {
		d.fault(n, prefix+"anchors are not allowed")
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.fault(n, prefix+"aliases are not allowed")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(n, prefix+"tags are not allowed")
		return false
	}
	return true
}

// key tells whether n can be a key, and comes for the first time.
func (d *decoder) key(n *yaml.Node, allowed []string, first map[string]*yaml.Node) bool {
	switch {
	case !d.bare("", n):
		return false
	case n.Kind != yaml.ScalarNode:
		d.fault(n, describe(n)+" is not a key; allowed: "+strings.Join(allowed, ", "))
		return false
	case n.Tag == "!!merge":
		d.fault(n, "merge keys are not allowed")
		return false
	}
	if before := first[n.Value]; before != nil {
		d.fault(n, fmt.Sprintf("key %s is already at line %d", quote(n.Value), before.Line))
		return false
	}
	first[n.Value] = n
	return true
}

// mapping is a value that has fields of its own.
type mapping struct {
	fields []field
	flow   bool // on one line, when written
}

func (m mapping) keys() []string {
	keys := make([]string, len(m.fields))
	for i, f := range m.fields {
		keys[i] = f.key
	}
	slices.Sort(keys)
	return keys
}

func (m mapping) allowed() string { return "a mapping of " + strings.Join(m.keys(), ", ") }

func (m mapping) read(d *decoder, name string, n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return describe(n) + " is not a mapping"
	}
	first := map[string]*yaml.Node{} // place of each key
	keys := m.keys()
	for i := 0; i < len(n.Content); i += 2 {
		if d.full() {
			return ""
		}
		m.readPair(d, name, keys, n.Content[i], n.Content[i+1], first)
	}
	for _, f := range m.fields {
		if f.required && first[f.key] == nil {
			d.fault(n, complaint(f, n, "is missing"))
		}
	}
	return ""
}

func (m mapping) readPair(d *decoder, name string, keys []string, key, n *yaml.Node, first map[string]*yaml.Node) {
	if !d.key(key, keys, first) {
		return
	}
	i := slices.IndexFunc(m.fields, func(f field) bool { return f.key == key.Value })
	if i < 0 {
		d.fault(key, fmt.Sprintf("unknown key %s in %s; allowed: %s%s", quote(key.Value), name,
			strings.Join(keys, ", "), didYouMean(key.Value, keys)))
		return
	}
	d.value(m.fields[i], n)
}

func (m mapping) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if m.flow {
		n.Style = yaml.FlowStyle
	}
	for _, f := range m.fields {
		if v := f.value.node(); v != nil {
			n.Content = append(n.Content, scalar(f.key), v)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// list is a sequence of values of one kind.
type list[T any] struct {
	into   *[]T
	length span
	entry  func(*T) value
}

func (l list[T]) allowed() string { return "a list of " + l.length.String() }

func (l list[T]) read(d *decoder, name string, n *yaml.Node) string {
	switch length := len(n.Content); {
	case n.Kind != yaml.SequenceNode:
		return describe(n) + " is not a list"
	case length == 0 && l.length.min > 0:
		return "is empty"
	case length == 0:
		return ""
	case !l.length.holds(uint64(length)): // and none of them is looked at
		return fmt.Sprintf("has %d entries", length)
	}
	*l.into = make([]T, len(n.Content))
	for i, item := range n.Content {
		d.value(field{key: name, value: l.entry(&(*l.into)[i])}, item)
	}
	return ""
}

func (l list[T]) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range *l.into {
		n.Content = append(n.Content, l.entry(&(*l.into)[i]).node())
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}
