package strictyaml

import (
	"cmp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Dialect is the draft of JSON Schema that a [Schema] is written in.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// Schema is the part of JSON Schema that describes the values of a table. An editor
// checks a file against it while the file is written. A schema accepts every file that
// the [Decoder] accepts. It also accepts some that the Decoder refuses, such as numbers
// in hexadecimal, because JSON Schema sees values and not how they were written.
type Schema struct {
	// Kind is the type in words, such as "duration".
	Kind string `json:"-"`

	Dialect     string   `json:"$schema,omitempty"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Type        string   `json:"type,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	Minimum     *uint64  `json:"minimum,omitempty"`
	Maximum     *uint64  `json:"maximum,omitempty"`
	Default     any      `json:"default,omitempty"`

	Items    *Schema `json:"items,omitempty"`
	MinItems uint64  `json:"minItems,omitempty"`
	MaxItems uint64  `json:"maxItems,omitempty"`

	Properties           map[string]*Schema `json:"properties,omitempty"`
	PropertyNames        *Schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"` // false, or the *Schema of every value
	MaxProperties        int                `json:"maxProperties,omitempty"`
	Required             []string           `json:"required,omitempty"`

	AnyOf []*Schema `json:"anyOf,omitempty"`
	OneOf []*Schema `json:"oneOf,omitempty"`
	AllOf []*Schema `json:"allOf,omitempty"`
	Not   *Schema   `json:"not,omitempty"`
}

// DescribedValue is a value that has a schema.
type DescribedValue interface {
	Value
	Schema() *Schema
}

// schemaOf returns the schema of a value. That of a value without one accepts
// everything.
func schemaOf(v Value) *Schema {
	if d, ok := v.(DescribedValue); ok {
		return d.Schema()
	}
	return &Schema{Kind: "value"}
}

// Schema returns the schema of the value of f, with its description.
func (f Field) Schema() *Schema {
	s := schemaOf(f.Value)
	s.Description = f.Doc
	if s.Type != "object" { // an editor shows the keys of a mapping itself
		s.Description += "\n\nAllowed: " + f.Value.DescribeAllowed() + "."
	}
	if text := f.defaultText(); text != "" {
		s.Description += "\nDefault: " + text + "."
	}
	if f.Default == "" && !f.Required {
		s.Default = f.defaultValue(s.Type)
	}
	return s
}

// defaultValue returns what the variable of f holds, as a value of JSON; nil for a value
// that holds others, or that is not set.
func (f Field) defaultValue(kind string) any {
	n := f.Value.MakeNode()
	switch {
	case kind == "boolean":
		return n != nil // a boolean that is false is not written
	case n == nil || n.Kind != yaml.ScalarNode:
		return nil
	case kind == "integer":
		if number, err := strconv.ParseUint(n.Value, 10, 64); err == nil {
			return number
		}
	}
	return n.Value
}

// defaultText returns the default in words; empty if there is none, or if the value
// holds others.
func (f Field) defaultText() string {
	text := f.Default
	if n := f.Value.MakeNode(); n != nil && n.Kind == yaml.ScalarNode {
		text = cmp.Or(text, n.Value)
	}
	if _, ok := f.Value.(Boolean); ok {
		text = cmp.Or(text, "false")
	}
	if f.Required {
		return ""
	}
	return text
}

// Schema implements [DescribedValue].
func (m Mapping) Schema() *Schema {
	s := &Schema{Kind: "mapping", Type: "object", Properties: map[string]*Schema{}, AdditionalProperties: false}
	for _, f := range m.Fields {
		s.Properties[f.Key] = f.Schema()
		if f.Required {
			s.Required = append(s.Required, f.Key)
		}
	}
	for _, keys := range m.Apart {
		s.AllOf = append(s.AllOf, &Schema{Not: &Schema{Required: keys[:]}})
	}
	for _, key := range m.OneOf {
		s.OneOf = append(s.OneOf, &Schema{Required: []string{key}})
	}
	return s
}

// Schema implements [DescribedValue].
func (l Sequence[T]) Schema() *Schema {
	entry := schemaOf(l.entry())
	plural := entry.Kind + "s"
	if strings.HasSuffix(entry.Kind, "s") { // address
		plural = entry.Kind + "es"
	}
	return &Schema{Kind: "list of " + plural, Type: "array", Items: entry, MinItems: l.Length.Min, MaxItems: l.Length.Max}
}

// entry returns the value of an entry that is not set.
func (l Sequence[T]) entry() Value { return l.Entry(new(T)) }

// Schema implements [DescribedValue].
func (v Integer[T]) Schema() *Schema { return v.Bounds.Schema() }

// Schema returns the schema of a whole number in the range.
func (r Span) Schema() *Schema {
	return &Schema{Kind: "whole number", Type: "integer", Minimum: &r.Min, Maximum: &r.Max}
}

// Schema implements [DescribedValue].
func (v Choice) Schema() *Schema { return &Schema{Kind: "word", Type: "string", Enum: v.Of} }

// Schema implements [DescribedValue].
func (v String) Schema() *Schema {
	s := &Schema{Kind: "text", Type: "string"}
	if v.Pattern.Form != nil {
		s.Pattern = v.Pattern.Form.String()
	}
	return s
}

// Schema implements [DescribedValue].
func (Boolean) Schema() *Schema { return &Schema{Kind: "boolean", Type: "boolean"} }

// Schema implements [DescribedValue]. The bounds of a duration cannot be put into a
// schema.
func (Duration) Schema() *Schema {
	return &Schema{Kind: "duration", Type: "string", Pattern: `^\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`}
}
