package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Canonical returns the scenario as YAML, with every default filled in and the keys
// in the order of the struct's fields. [Parse] reads it as an equal Scenario, but
// SetDriver does not change its nat: there it is written in the file.
func (s *Scenario) Canonical() []byte {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(strictyaml.Mapping{Fields: scenarioFields(s)}.MakeNode())
	if err == nil {
		err = e.Close()
	}
	if err != nil { // only text that is not UTF-8 causes an error, and Parse refuses such text
		panic(err)
	}
	return out.Bytes()
}

// Hash returns an identifier of the experiment, which does not depend on the driver:
// "sha256:" and 12 hexadecimal digits. Comments, formatting and written defaults do
// not change it. NAT counts only if it is not the driver's default: a netns lab with
// nftables has the same hash as a docker lab with iptables, and a netns lab with
// iptables has a different one.
func (s *Scenario) Hash() string {
	driverless := *s
	driverless.Driver = ""
	if s.NAT == DefaultNAT(s.Driver) {
		driverless.NAT = ""
	}
	sum := sha256.Sum256(driverless.Canonical())
	return "sha256:" + hex.EncodeToString(sum[:])[:12]
}
