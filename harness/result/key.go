package result

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
)

// Key is what two runs must have in common for their figures to be compared: the
// scenario and the environment, without the kernel. Facts that are unknown, or
// that a lab does not have, are empty. A new field must be added to [KeyOf] and
// [Key.Facts]; a test finds one that is missing there.
type Key struct {
	Scenario       string `json:"scenario"` // its name
	Hash           string `json:"hash"`     // of the scenario
	Arch           string `json:"arch"`
	CPUs           int    `json:"cpus"`
	Driver         string `json:"driver"`
	Rootless       bool   `json:"rootless"`
	NAT            string `json:"nat"`
	Docker         string `json:"docker"`
	Firewall       string `json:"firewall"`
	Iptables       string `json:"iptables"`
	Virtualisation string `json:"virtualisation"`
	Guest          string `json:"guest"` // the accelerator of a guest, whose figures differ from those of its host; see [Env]

	Node   string `json:"node,omitempty"`   // of a cluster; left out without one, so that the names of other series stay
	Engine string `json:"engine,omitempty"` // of [Env]; left out for Docker for the same reason
}

// KeyOf returns the key of a result.
func KeyOf(r *Result) Key {
	e := r.Environment
	return Key{
		Scenario: r.Scenario.Name, Hash: r.Scenario.Hash, Arch: e.Arch, CPUs: e.CPUs, Driver: e.Driver, Rootless: e.Rootless, NAT: e.NAT,
		Docker: deref(e.Docker), Firewall: deref(e.Firewall), Iptables: deref(e.Iptables), Virtualisation: deref(e.Virtualisation), Guest: e.Guest, Node: nodeOf(e), Engine: e.Engine,
	}
}

// nodeOf returns the node of a cluster, or "" for a lab without one.
func nodeOf(e Env) string {
	if e.Kubernetes == nil {
		return ""
	}
	return e.Kubernetes.Node
}

// deref returns the string that s points to, or "" for nil.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Fact is one fact of a [Key].
type Fact struct {
	Name  string // in JSON
	Label string // in a sentence
	Value string // empty: unknown, or nothing that this lab has
}

// Facts returns the facts of a key in the order of its fields.
func (k Key) Facts() []Fact {
	return []Fact{
		{"scenario", "scenario", k.Scenario},
		{"hash", "hash", k.Hash},
		{"arch", "architecture", k.Arch},
		{"cpus", "CPUs", strconv.Itoa(k.CPUs)},
		{"driver", "driver", k.Driver},
		{"rootless", "rootless", strconv.FormatBool(k.Rootless)},
		{"nat", "NAT", k.NAT},
		{"docker", "docker", k.Docker},
		{"firewall", "firewall", k.Firewall},
		{"iptables", "iptables", k.Iptables},
		{"virtualisation", "virtualisation", k.Virtualisation},
		{"guest", "guest", k.Guest},
		{"node", "node", k.Node},
		{"engine", "engine", k.Engine},
	}
}

// SeriesID returns 8 hexadecimal digits that stand for the key.
func (k Key) SeriesID() string {
	text, _ := json.Marshal(k) // strings, numbers and booleans
	return shortHash(string(text))
}

// shortHash returns 8 hexadecimal digits that stand for a text.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
