package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// compiled is the schema of a scenario, in a library that knows nothing of this package.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := json.Marshal(Schema())
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.schema.json", document); err != nil {
		return nil, err
	}
	return c.Compile("scenario.schema.json")
})

// errNoValue means that a file has no value that a schema could be held against: YAML
// itself refuses it.
var errNoValue = errors.New("not YAML")

// validate holds the value of a file against the schema, as an editor does.
func validate(t *testing.T, data []byte) error {
	t.Helper()
	schema, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if yaml.Unmarshal(data, &value) != nil {
		return errNoValue
	}
	text, err := json.Marshal(value)
	if err != nil { // a key is no text, or a number is infinite
		return fmt.Errorf("%w: %w", errNoValue, err)
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

// beyondSchema are the faults that a schema cannot find: JSON Schema sees the values of a
// file, and not how they were written, and it does not compare one value with another.
var beyondSchema = regexp.MustCompile(strings.Join([]string{
	// How a value was written.
	`"[-+0-9][0-9a-fox_e.]*" is not a whole number`, `"(?i:true|false)" is not a boolean`, `: 0[0-9x]+ is neither a whole number nor text`,
	`(aliases|anchors|tags|merge keys) are not allowed`, `a second document begins`, `YAML: did not find expected node content`,
	`key ".*" is already at line`,
	`editors do not show it`, `is not allowed; allowed: text without control characters`, `no such file has as many`,
	// Bounds of a number inside a text.
	`(timeout|time_max|hold): .* is out of range`, `(to_ports|client_port_range|accept_source_ports): .* (is out of range|ends before it begins)`,
	`removes: .* is out of range`, `address: ".*" (has port 0|is loopback|is not the address of one machine)`,
	// Rules between fields.
	`allowed with|allowed without|belongs to (pattern|the whole machine)`, `which trials of pattern ephemeral do not have`,
	`clients x .* (requests|ports) are`, `do not fit into`, `leave lockstep clients no source port`, `local_port_range`,
	`is below the least number of rounds`, `is already at line|is the arm at line|has this claim at line`,
	`is no arm of this scenario`, `is the baseline`, `are both true`, `plain and other options`, `consecutive addresses`, `ranges in ascending order`, `is not of the lab's family`,
	`address: .* port(s)? follow`, `is not allowed in a docker lab`, `in a netns lab`, `removes: (it is|the share)`, `leaves out source ports of the clients`,
	`(resolver|notrack): the first arm|in another way than the first arm|look-ups are made over udp`,
}, "|"))

// checkSchemaRefuses checks that the schema refuses a file with these faults, unless all
// of them are beyond it.
func checkSchemaRefuses(t *testing.T, data string, faults []string) {
	t.Helper()
	if validate(t, []byte(data)) != nil {
		return
	}
	for _, fault := range faults {
		if !beyondSchema.MatchString(fault) {
			t.Errorf("the schema accepts a file with the fault\n%s\nin:\n%s", fault, data)
		}
	}
}

// The ready scenarios are valid by the schema.
func TestSchemaReadyScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios: %q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	first, err := os.ReadFile("../../cmd/snatlab/first.yaml") // snatlab init fills in its name
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, bytes.ReplaceAll(first, []byte("NAME"), []byte("x"))); err != nil {
		t.Error(err)
	}
}

// The schema finds what it can find, without the help of the decoder.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for _, lines := range []string{
		"requests: 3\n", "clients: 65\n", "clients: two\n", "clients: '2'\n", "driver: podman\n", "rounds: 0\n",
		"load: {requets: 3}\n", "load: {timeout: 500}\n", "load: {rate: Max}\n", "load: fast\n", "load:\n", "seed: -1\n",
		"server: {}\n", "server: {address: example.com:80}\n", "network: 'a b'\n",
		"expect: [{arm: b}]\n", "expect: [{arm: b, race: absent, p50: <=5%}]\n", "expect: [{race: absent}]\n",
		"expect: [{arm: b, reduction: '>=101%'}]\n", "expect: [{arm: b, p50: '<=1000.001%'}]\n", "expect: [{arm: b, p50: '>=5%'}]\n",
	} {
		if validate(t, []byte(minimal+lines)) == nil {
			t.Errorf("the schema accepts %s", lines)
		}
	}
	for _, arms := range []string{
		"[]", "{}", "[{}]", "[{name: A}]", "[{name: 7}]",
		"[{name: a, masquerade: {}, snat: {to_source: [198.18.0.9]}}]", "[{name: a, client_ports: split, client_port_range: 2000-3000}]",
		"[{name: a, masquerade: {removes: half}}]", "[{name: a, snat: {to_source: [10.0.0.1]}}]", "[{name: a, snat: {}}]",
		"[{name: a, sysctls: {router: {kernel.panic: 1}}}]", "[{name: a, sysctls: {clients: {net.a: true}}}]",
	} {
		if validate(t, []byte("name: s\narms: "+arms+"\n")) == nil {
			t.Errorf("the schema accepts arms: %s", arms)
		}
	}
}

// Every key has a description, and a kind of value that the schema knows.
func TestKeysAreDescribed(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		switch {
		case k.Doc == "" || !strings.HasSuffix(k.Doc, "."):
			t.Errorf("%s: the description %q is no sentence", k.Path, k.Doc)
		case k.Kind == "value":
			t.Errorf("%s: its values have no schema", k.Path)
		}
	}
}

// The bounds of a key in the schema, its default and its description are those of the
// tables.
func TestSchemaOfKey(t *testing.T) {
	t.Parallel()
	clients := Schema().Properties["clients"]
	if *clients.Minimum != 1 || *clients.Maximum != MaxClients || clients.Default != uint64(2) {
		t.Errorf("clients: %+v", clients)
	}
	if want := "The number of clients.\n\nAllowed: 1 to 64.\nDefault: 2."; clients.Description != want {
		t.Errorf("clients: %q, want %q", clients.Description, want)
	}
	// A default that depends on another field stands in the description alone.
	if rounds := Schema().Properties["rounds"]; rounds.Default != nil || !strings.Contains(rounds.Description, "Default: 6, or 12 where ") {
		t.Errorf("rounds: %+v", rounds)
	}
	// The default that is written is the one that is read.
	read, err := Parse("x.yaml", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range strictyaml.ListKeys(scenarioFields(read)) {
		if at := keyOf(t, k.Path); k.Default != at.Default && !strings.Contains(at.Default, k.Default) {
			t.Errorf("%s: default %q, and a file without it has %q", k.Path, at.Default, k.Default)
		}
	}
}

func keyOf(t *testing.T, path string) strictyaml.Key {
	t.Helper()
	for _, k := range Keys() {
		if k.Path == path {
			return k
		}
	}
	t.Fatalf("no key %s", path)
	return strictyaml.Key{}
}
