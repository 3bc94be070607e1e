package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"gopkg.in/yaml.v3"
)

// Canonical is the scenario as YAML, with every default filled in and the keys
// in the order of the struct's fields. [Parse] reads it back as an equal
// Scenario.
func (s *Scenario) Canonical() []byte {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(mapping{fields: scenarioFields(s)}.node())
	if err == nil {
		err = e.Close()
	}
	if err != nil { // a buffer takes everything; only text that is not UTF-8 gets here, and none that was parsed
		panic(err)
	}
	return out.Bytes()
}

// Hash names what is run, whatever the driver: "sha256:" and 12 hexadecimal
// digits. Comments, formatting and defaults that are written out do not change
// it.
func (s *Scenario) Hash() string {
	driverless := *s
	driverless.Driver = ""
	sum := sha256.Sum256(driverless.Canonical())
	return "sha256:" + hex.EncodeToString(sum[:])[:12]
}
