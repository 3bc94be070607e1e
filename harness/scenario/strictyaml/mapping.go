package strictyaml

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Field is one key of a mapping and the variable of its value.
type Field struct {
	Key      string
	Value    Value
	Required bool

	Doc     string // says what the key is for, in sentences
	Default string // the default in words; empty if it is what the variable holds
}

// ReadText sets the variable of f from text that is not in a file, such as a
// flag of the command line. The bounds are those of the file.
func (f Field) ReadText(text string) error {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if problem := f.Value.ReadNode(nil, f.Key, n); problem != "" {
		return errors.New(f.describeFault(n, problem))
	}
	return nil
}

// describeFault returns the message about a problem of the value at n.
func (f Field) describeFault(n *yaml.Node, problem string) string {
	message := f.Key + ": " + problem + "; allowed: " + f.Value.DescribeAllowed()
	if c, ok := f.Value.(Choice); ok {
		message += DidYouMean(n.Value, c.Of)
	}
	return message
}

// Mapping is a value that has fields of its own.
type Mapping struct {
	Fields []Field
	Flow   bool // written on one line

	// The schema has these rules between keys. Reading does not check them.
	Apart [][2]string // pairs of keys that exclude each other
	OneOf []string    // keys of which exactly one is given; nil: no such rule
}

func (m Mapping) sortedKeys() []string {
	keys := make([]string, len(m.Fields))
	for i, f := range m.Fields {
		keys[i] = f.Key
	}
	slices.Sort(keys)
	return keys
}

// DescribeAllowed implements [Value].
func (m Mapping) DescribeAllowed() string {
	return "a mapping of " + strings.Join(m.sortedKeys(), ", ")
}

// ReadNode implements [Value].
func (m Mapping) ReadNode(d *Decoder, name string, n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return DescribeNode(n) + " is not a mapping"
	}
	first := map[string]*yaml.Node{} // place of each key
	keys := m.sortedKeys()
	for i := 0; i < len(n.Content); i += 2 {
		if d.IsFull() {
			return ""
		}
		m.readPair(d, name, keys, n.Content[i], n.Content[i+1], first)
	}
	for _, f := range m.Fields {
		if f.Required && first[f.Key] == nil {
			d.AddFault(n, f.describeFault(n, "is missing"))
		}
	}
	return ""
}

func (m Mapping) readPair(d *Decoder, name string, keys []string, key, n *yaml.Node, first map[string]*yaml.Node) {
	if !d.CheckKey(key, keys, first) {
		return
	}
	i := slices.IndexFunc(m.Fields, func(f Field) bool { return f.Key == key.Value })
	if i < 0 {
		d.AddFault(key, fmt.Sprintf("unknown key %s in %s; allowed: %s%s", QuoteText(key.Value), name,
			strings.Join(keys, ", "), DidYouMean(key.Value, keys)))
		return
	}
	d.ReadField(m.Fields[i], n)
}

// MakeNode implements [Value].
func (m Mapping) MakeNode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if m.Flow {
		n.Style = yaml.FlowStyle
	}
	for _, f := range m.Fields {
		if v := f.Value.MakeNode(); v != nil {
			n.Content = append(n.Content, ScalarNode(f.Key), v)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// Sequence is a sequence of values of one kind.
type Sequence[T any] struct {
	Into   *[]T
	Length Span
	Entry  func(*T) Value // returns the value that is read into an entry
}

// DescribeAllowed implements [Value].
func (l Sequence[T]) DescribeAllowed() string { return "a list of " + l.Length.String() }

// ReadNode implements [Value]. The entries of a list that is too long are not
// read.
func (l Sequence[T]) ReadNode(d *Decoder, name string, n *yaml.Node) string {
	switch length := len(n.Content); {
	case n.Kind != yaml.SequenceNode:
		return DescribeNode(n) + " is not a list"
	case length == 0 && l.Length.Min > 0:
		return "is empty"
	case length == 0:
		return ""
	case !l.Length.Contains(uint64(length)):
		return fmt.Sprintf("has %d entries", length)
	}
	*l.Into = make([]T, len(n.Content))
	for i, item := range n.Content {
		d.ReadField(Field{Key: name, Value: l.Entry(&(*l.Into)[i])}, item)
	}
	return ""
}

// MakeNode implements [Value].
func (l Sequence[T]) MakeNode() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range *l.Into {
		n.Content = append(n.Content, l.Entry(&(*l.Into)[i]).MakeNode())
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}
