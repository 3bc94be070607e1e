// Package strictyaml reads YAML files strictly. A table of fields, see [Field],
// lists the keys of a mapping with the kind and the bounds of each value; the
// [Decoder] reads a document with it. An unknown key, a key that appears twice,
// a wrong type, a value that is missing or out of bounds is a [Fault] with its
// file, line and column, and all faults of a file are reported at once.
//
// Anchors, aliases, tags and merge keys are refused, and so are characters that
// an editor does not show. No file makes the decoder use much memory: see
// [MaxBytes].
//
// The same table writes the canonical form of what it has read: see
// [Value.MakeNode].
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/place"
)

// MaxBytes bounds the size of a file.
const MaxBytes = 1 << 20

// ReadBounded returns the contents of the file at path, but at most one byte more
// than [MaxBytes], which [Decoder.ReadDocument] then refuses. A pipe or a device
// is not read: it may have no end, or block whoever opens it.
func ReadBounded(path string) ([]byte, error) {
	f, err := place.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Decoder reads one file and collects its faults.
type Decoder struct {
	file   string
	faults Faults
	broken map[*yaml.Node]bool // nodes with a fault
}

// NewDecoder returns a Decoder whose faults name file.
func NewDecoder(file string) *Decoder {
	return &Decoder{file: file, broken: map[*yaml.Node]bool{}}
}

// Err returns the faults that were found, in the order of the file, as [Faults];
// nil if there is none.
func (d *Decoder) Err() error {
	if len(d.faults) == 0 {
		return nil
	}
	return d.faults.sorted()
}

// AddFault records a fault of the node n.
func (d *Decoder) AddFault(n *yaml.Node, message string) {
	d.broken[n] = true
	d.addFaultAt(n.Line, n.Column, message)
}

func (d *Decoder) addFaultAt(line, column int, message string) {
	d.faults = append(d.faults, Fault{d.file, line, column, message})
}

// IsSound reports whether none of the nodes has a fault. A nil node has none.
func (d *Decoder) IsSound(nodes ...*yaml.Node) bool {
	return !slices.ContainsFunc(nodes, func(n *yaml.Node) bool { return d.broken[n] })
}

// IsFull reports whether so many faults were found that the rest of the file is
// not read.
func (d *Decoder) IsFull() bool { return len(d.faults) >= enoughFaults }

// ReadDocument returns the root of the one document in data, with its aliases
// not expanded. The root of an empty document is null: see [IsEmpty]. It is nil
// after a fault that leaves no root.
func (d *Decoder) ReadDocument(data []byte) *yaml.Node {
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
		d.addSyntaxFault(err, data)
		return nil
	}
	switch err := documents.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.addSyntaxFault(err, data)
	default:
		d.AddFault(&second, "a second document begins; allowed: one in a file")
	}
	return document.Content[0]
}

// ReadField reads the value of the field f from n.
func (d *Decoder) ReadField(f Field, n *yaml.Node) {
	if !d.checkDecoration(f.Key+": ", n) {
		return
	}
	problem := "is empty"
	if !IsEmpty(n) {
		problem = f.Value.ReadNode(d, f.Key, n)
	}
	if problem != "" {
		d.AddFault(n, f.describeFault(n, problem))
	}
}

// checkDecoration refuses what YAML may put around a node, and reports whether
// the node can be read. A node with an anchor can.
func (d *Decoder) checkDecoration(prefix string, n *yaml.Node) bool {
	if n.Anchor != "" {
		d.AddFault(n, prefix+"anchors are not allowed")
	}
	switch {
	case n.Kind == yaml.AliasNode:
		d.AddFault(n, prefix+"aliases are not allowed")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.AddFault(n, prefix+"tags are not allowed")
		return false
	}
	return true
}

// CheckKey reports whether n can be a key and is not in first yet, and adds it
// there. Allowed describes the keys that n may be.
func (d *Decoder) CheckKey(n *yaml.Node, allowed []string, first map[string]*yaml.Node) bool {
	switch {
	case !d.checkDecoration("", n):
		return false
	case n.Kind != yaml.ScalarNode:
		d.AddFault(n, DescribeNode(n)+" is not a key; allowed: "+strings.Join(allowed, ", "))
		return false
	case n.Tag == "!!merge":
		d.AddFault(n, "merge keys are not allowed")
		return false
	}
	if before := first[n.Value]; before != nil {
		d.AddFault(n, fmt.Sprintf("key %s is already at line %d", QuoteText(n.Value), before.Line))
		return false
	}
	first[n.Value] = n
	return true
}
