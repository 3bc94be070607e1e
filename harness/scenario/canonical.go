package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/strictyaml"
)

// Canonical is the scenario as YAML, with every default filled in and the keys
// in the order of the struct's fields. [Parse] reads it back as an equal
// Scenario, in which nat is no longer for SetDriver to choose: it is written.
func (s *Scenario) Canonical() []byte {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(strictyaml.Mapping{Fields: scenarioFields(s)}.MakeNode())
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
// it. NAT counts only where it is not the driver's default: a netns lab with
// iptables has a hash of its own, while one with nftables has that of the
// docker lab with iptables.
func (s *Scenario) Hash() string {
	driverless := *s
	driverless.Driver = ""
	if s.NAT == DefaultNAT(s.Driver) {
		driverless.NAT = ""
	}
	sum := sha256.Sum256(driverless.Canonical())
	return "sha256:" + hex.EncodeToString(sum[:])[:12]
}
