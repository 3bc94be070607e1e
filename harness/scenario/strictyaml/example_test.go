package strictyaml_test

import (
	"fmt"

	"snatlab/harness/scenario/strictyaml"
)

// A file that holds a list of mappings: nothing in it is a list without entries.
func ExampleDecoder() {
	type host struct {
		name string
		cpus int
	}
	entry := func(h *host) strictyaml.Value {
		return strictyaml.Mapping{Fields: []strictyaml.Field{
			{Key: "name", Required: true, Value: strictyaml.String{Into: &h.name, Pattern: strictyaml.Pattern{Words: "the name of a host"}}},
			{Key: "cpus", Required: true, Value: strictyaml.Integer[int]{Into: &h.cpus, Bounds: strictyaml.SpanOf(1, 1024)}},
		}}
	}
	read := func(data string) ([]host, error) {
		var hosts []host
		d := strictyaml.NewDecoder("hosts.yaml")
		if root := d.ReadDocument([]byte(data)); root != nil && !strictyaml.IsEmpty(root) {
			d.ReadField(strictyaml.Field{Key: "hosts", Value: strictyaml.Sequence[host]{
				Into: &hosts, Length: strictyaml.SpanOf(0, 100), Entry: entry,
			}}, root)
		}
		return hosts, d.Err()
	}
	fmt.Println(read("- {name: a, cpus: 2}\n"))
	fmt.Println(read("# none\n"))
	fmt.Println(read("- {nmae: a, cpus: 0}\n"))
	// Output:
	// [{a 2}] <nil>
	// [] <nil>
	// [{ 0}] hosts.yaml:1:3: name: is missing; allowed: the name of a host
	// hosts.yaml:1:4: unknown key "nmae" in hosts; allowed: cpus, name (did you mean "name"?)
	// hosts.yaml:1:19: cpus: 0 is out of range; allowed: 1 to 1024
}
