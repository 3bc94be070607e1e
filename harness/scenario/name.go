package scenario

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// NameOf returns the name of the scenario in a file and its driver, also where
// other things in the file are wrong. Either is empty if it could not be read, or
// is none that a scenario may have.
func NameOf(path string) (name, driver string) {
	data, err := readFile(path)
	if err != nil {
		return "", ""
	}
	root, faults := Document(path, data)
	if faults != nil || root.Kind != yaml.MappingNode {
		return "", ""
	}
	if n := child(root, "name"); n != nil && n.Kind == yaml.ScalarNode && names.form.MatchString(n.Value) {
		name = n.Value
	}
	switch n := child(root, "driver"); {
	case n == nil:
		driver = Default().Driver
	case slices.Contains(drivers, n.Value):
		driver = n.Value
	}
	return name, driver
}
