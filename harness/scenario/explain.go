package scenario

import "snatlab/harness/scenario/strictyaml"

// Schema returns the JSON Schema of a scenario. It has no rule that depends on the driver
// or the pattern, and no sum of several fields: those are checked when a file is read.
func Schema() *strictyaml.Schema {
	s := Default()
	schema := strictyaml.Mapping{Fields: scenarioFields(&s)}.Schema()
	schema.Dialect, schema.Title = strictyaml.Dialect, "A scenario of snatlab"
	return schema
}

// Keys returns every key of a scenario, in the order of the canonical form.
func Keys() []strictyaml.Key {
	s := Default()
	return strictyaml.ListKeys(scenarioFields(&s))
}

// CheckName returns an error if a scenario may not have that name.
func CheckName(name string) error {
	var s Scenario
	return s.setField("name", name)
}
