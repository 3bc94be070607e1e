// Package changes lists what differs between the scenarios of two results. A file that did
// not change has other values with a version of snatlab that has other defaults, and is then
// another scenario.
package changes

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// List returns the keys whose values differ between the scenarios of two results,
// in the order of a scenario. An empty value is that of a key that is not there. complete
// is false if the earlier result is of a version that recorded only some of the keys.
func List(before, after *result.Result) (changes []result.Difference, complete bool) {
	old, order, complete := valuesOf(before)
	new, newOrder, _ := valuesOf(after)
	if !complete { // what was not recorded did not change
		maps.DeleteFunc(new, func(key, _ string) bool { return !slices.Contains(recordedKeys, key) })
	}
	for _, key := range append(newOrder, order...) {
		a, b := old[key], new[key]
		known := slices.ContainsFunc(changes, func(d result.Difference) bool { return d.What == key })
		if a != b && !known {
			changes = append(changes, result.Difference{What: key, Old: a, New: b})
		}
	}
	return changes, complete
}

// valuesOf returns the values of a result's scenario by their keys, and the keys in order.
// whole is false if the result does not have the text of the scenario.
func valuesOf(r *result.Result) (values map[string]string, order []string, whole bool) {
	var root yaml.Node
	if len(r.Scenario.Text) == 0 || len(r.Scenario.Text) > strictyaml.MaxBytes || yaml.Unmarshal([]byte(r.Scenario.Text), &root) != nil || len(root.Content) == 0 {
		values = recordedValues(r)
		return values, recordedKeys, false
	}
	f := flattener{values: map[string]string{idleRulesKey: "0"}} // which is not written if it is the default
	f.add("", root.Content[0])
	return f.values, f.order, true
}

// idleRulesKey is the key of the idle rules.
const idleRulesKey = "lab.postrouting_rules"

// recordedKeys are the keys that results without the text of their scenario have.
var recordedKeys = []string{"clients", idleRulesKey, "load.pattern", "load.requests", "rounds", "until.hits", "until.rounds_max", "until.time_max"}

func recordedValues(r *result.Result) map[string]string {
	s := r.Scenario
	values := map[string]string{
		"clients": strconv.Itoa(s.Clients), idleRulesKey: strconv.Itoa(r.Environment.Widened), "load.pattern": s.Pattern, "load.requests": strconv.Itoa(s.Requests), "rounds": strconv.Itoa(s.Rounds),
	}
	if u := s.Until; u != nil {
		values["until.hits"], values["until.rounds_max"] = strconv.Itoa(u.Hits), strconv.Itoa(u.RoundsMax)
		limit := time.Duration(u.TimeMax * float64(time.Second))
		if n := (strictyaml.Duration{Into: &limit}).MakeNode(); n != nil {
			values["until.time_max"] = n.Value
		}
	}
	return values
}

// A flattener collects the values of a YAML text under keys with dots. An arm is a key by
// its name, and so are the expectations of an arm: "arms.random-fully.masquerade.random",
// "expect.random-fully.reduction".
type flattener struct {
	values map[string]string
	order  []string
}

func (f *flattener) add(key string, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			f.add(joinKey(key, n.Content[i].Value), n.Content[i+1])
		}
	case yaml.SequenceNode:
		f.addEntries(key, n.Content)
	case yaml.ScalarNode:
		f.set(key, n.Value)
	}
}

// addEntries adds the entries of a sequence: those that have a name by it, others as one
// value.
func (f *flattener) addEntries(key string, entries []*yaml.Node) {
	var plain []string
	for _, e := range entries {
		name := nameOf(e)
		switch {
		case name != "" && len(e.Content) == 2: // an arm without anything else
			f.set(joinKey(key, name), "plain")
		case name != "":
			f.add(joinKey(key, name), &yaml.Node{Kind: yaml.MappingNode, Content: e.Content[2:]})
		default:
			plain = append(plain, e.Value)
		}
	}
	if len(plain) > 0 {
		f.set(key, strings.Join(plain, ", "))
	}
}

// nameOf returns the name that a mapping begins with, of itself or of an arm.
func nameOf(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode && len(n.Content) >= 2 && (n.Content[0].Value == "name" || n.Content[0].Value == "arm") {
		return n.Content[1].Value
	}
	return ""
}

func (f *flattener) set(key, value string) {
	if !slices.Contains(f.order, key) {
		f.order = append(f.order, key)
	}
	f.values[key] = value
}

func joinKey(under, key string) string {
	if under == "" {
		return key
	}
	return under + "." + key
}
