package scenario

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Read returns the scenario in the file at path. Faults of its contents are
// [strictyaml.Faults]; any other error means that the file could not be read.
func Read(path string) (*Scenario, error) {
	data, err := strictyaml.ReadBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(path, data)
}

// Parse returns the valid scenario that data describes, or [strictyaml.Faults]
// that name file.
func Parse(file string, data []byte) (*Scenario, error) {
	d := strictyaml.NewDecoder(file)
	s := Default()
	root := d.ReadDocument(data)
	if schema := schemaOf(root); schema != "" {
		d.AddFault(root, fmt.Sprintf("this file was written by snatlab (schema: %s), it is not a scenario; `snatlab report` prints a result", strictyaml.QuoteText(schema)))
	} else if root != nil {
		d.ReadField(strictyaml.Field{Key: "scenario", Value: strictyaml.Mapping{Fields: scenarioFields(&s)}}, root)
		if !d.IsFull() { // else not all of it was read
			checker{d}.checkAll(&s, root)
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	return &s, nil
}

// schemaOf returns the schema in a file that snatlab itself wrote, such as
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

// NameOf returns the name and the driver of the scenario in a file, even where
// the file has faults elsewhere. Either is empty if it could not be read, or is
// not one that a scenario may have.
func NameOf(path string) (name, driver string) {
	data, err := strictyaml.ReadBounded(path)
	if err != nil {
		return "", ""
	}
	d := strictyaml.NewDecoder(path)
	root := d.ReadDocument(data)
	if d.Err() != nil || root.Kind != yaml.MappingNode {
		return "", ""
	}
	if n := strictyaml.ChildOf(root, "name"); n != nil && n.Kind == yaml.ScalarNode && namePattern.Form.MatchString(n.Value) {
		name = n.Value
	}
	switch n := strictyaml.ChildOf(root, "driver"); {
	case n == nil:
		driver = Default().Driver
	case slices.Contains(allDrivers, n.Value):
		driver = n.Value
	}
	return name, driver
}
