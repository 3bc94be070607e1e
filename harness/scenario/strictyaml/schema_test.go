package strictyaml

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// plainValue is a value that has no schema.
type plainValue struct{}

func (plainValue) DescribeAllowed() string                      { return "anything" }
func (plainValue) ReadNode(*Decoder, string, *yaml.Node) string { return "" }
func (plainValue) MakeNode() *yaml.Node                         { return nil }

// testFields returns a table with a value of each sort.
func testFields() []Field {
	size, word, on := 3, "a", false
	var list []int
	entry := func(*int) Value {
		return Mapping{Fields: []Field{{Key: "on", Value: Boolean{&on}, Doc: "Is it on?"}, {Key: "off", Value: plainValue{}}},
			Apart: [][2]string{{"on", "off"}}, OneOf: []string{"on", "off"}}
	}
	return []Field{
		{Key: "size", Value: Integer[int]{Into: &size, Bounds: SpanOf(1, 9)}, Doc: "How large."},
		{Key: "word", Value: Choice{&word, []string{"a", "b"}}, Required: true, Doc: "Which."},
		{Key: "list", Value: Sequence[int]{Into: &list, Length: SpanOf(0, 2), Entry: entry}, Doc: "All.", Default: "as many as there are"},
	}
}

// The keys of a table are listed with those of the mappings in it.
func TestListKeys(t *testing.T) {
	want := []Key{
		{Path: "size", Kind: "whole number", Allowed: "1 to 9", Default: "3", Doc: "How large."},
		{Path: "word", Kind: "word", Allowed: "a, b", Doc: "Which.", Required: true},
		{Path: "list", Kind: "list of mappings", Allowed: "a list of 0 to 2", Default: "as many as there are", Doc: "All.", Below: []string{"list.on", "list.off"}},
		{Path: "list.on", Kind: "boolean", Allowed: "true, false", Default: "false", Doc: "Is it on?"},
		{Path: "list.off", Kind: "value", Allowed: "anything"},
	}
	if d := cmp.Diff(want, ListKeys(testFields())); d != "" {
		t.Error(d)
	}
}

// A schema has types, bounds, defaults and the rules between keys. Nothing is unknown to
// it but a value without a schema, which may be anything.
func TestMappingSchema(t *testing.T) {
	got, err := json.MarshalIndent(Mapping{Fields: testFields()}.Schema(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "type": "object",
 "properties": {
  "list": {
   "description": "All.\n\nAllowed: a list of 0 to 2.\nDefault: as many as there are.",
   "type": "array",
   "items": {
    "type": "object",
    "properties": {
     "off": {
      "description": "\n\nAllowed: anything."
     },
     "on": {
      "description": "Is it on?\n\nAllowed: true, false.\nDefault: false.",
      "type": "boolean",
      "default": false
     }
    },
    "additionalProperties": false,
    "oneOf": [
     {
      "required": [
       "on"
      ]
     },
     {
      "required": [
       "off"
      ]
     }
    ],
    "allOf": [
     {
      "not": {
       "required": [
        "on",
        "off"
       ]
      }
     }
    ]
   },
   "maxItems": 2
  },
  "size": {
   "description": "How large.\n\nAllowed: 1 to 9.\nDefault: 3.",
   "type": "integer",
   "minimum": 1,
   "maximum": 9,
   "default": 3
  },
  "word": {
   "description": "Which.\n\nAllowed: a, b.",
   "type": "string",
   "enum": [
    "a",
    "b"
   ]
  }
 },
 "additionalProperties": false,
 "required": [
  "word"
 ]
}`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Error(d)
	}
}
