package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"snatlab/harness/scenario"
	"snatlab/scenarios"
)

// The schema file beside the ready scenarios is what this program prints. To update it:
// snatlab schema > scenarios/scenario.schema.json
func TestSchemaFile(t *testing.T) {
	kept, err := os.ReadFile("../../scenarios/" + schemaName)
	must(t, err)
	var now bytes.Buffer
	must(t, writeSchema(&now))
	if !bytes.Equal(kept, now.Bytes()) {
		t.Errorf("scenarios/%s is not what snatlab schema prints; write it anew: go run ./cmd/snatlab schema > scenarios/%[1]s", schemaName)
	}
}

// Every ready scenario, and the one that init writes, names the schema for editors.
func TestModelines(t *testing.T) {
	const line = "\n# yaml-language-server: $schema=" + schemaName + "\n"
	texts := map[string]string{"init": fillFirst("x")}
	for _, name := range scenarios.Names() {
		text, _ := scenarios.Read(name)
		texts[name] = string(text)
	}
	for name, text := range texts {
		if strings.Count(text, line) != 1 {
			t.Errorf("%s: not once the line %q", name, line)
		}
	}
}

// The scenario that init writes is valid, and so it is with the keys that stand in it as
// comments.
func TestFirstScenario(t *testing.T) {
	text := fillFirst("x")
	whole := strings.NewReplacer("\n# - ", "\n  - ", "\n#   ", "\n    ").Replace(text)
	if whole == text {
		t.Error("no commented key was found")
	}
	for _, text := range []string{text, whole} {
		if _, err := scenario.Parse("x.yaml", []byte(text)); err != nil {
			t.Errorf("%v\nin:\n%s", err, text)
		}
	}
}

// Every page has a title, and every ready scenario says which question it answers.
func TestShelves(t *testing.T) {
	for _, s := range []shelf{pages, readyScenarios} {
		for _, name := range s.names() {
			if about := s.describe(name); about == "" || strings.HasPrefix(about, "#") {
				t.Errorf("%s %s: described as %q", s.kind, name, about)
			}
		}
	}
}
