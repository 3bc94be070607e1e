package result

import (
	"reflect"
	"strings"
	"testing"
)

// fullEnvironment is a result in which every fact of a key is known.
func fullEnvironment() *Result {
	return &Result{
		Scenario: ScenarioSummary{Name: "quickstart", Hash: "sha256:5b0c94d2e1a7"},
		Environment: Env{Arch: "amd64", CPUs: 2, Driver: "netns", Rootless: true, NAT: "iptables", Docker: new("28.1.0"),
			Firewall: new("nftables"), Iptables: new("1.8.9 (nft)"), Virtualisation: new("kvm"), Guest: "tcg", Kubernetes: &Kubernetes{Node: "n1"}, Engine: EnginePodman},
	}
}

// Every field of a key is taken from the result, and is one of its facts, under
// its name in JSON.
func TestKeyFacts(t *testing.T) {
	t.Parallel()
	key := KeyOf(fullEnvironment())
	facts := key.Facts()
	fields := reflect.ValueOf(key)
	if len(facts) != fields.NumField() {
		t.Fatalf("%d facts of %d fields", len(facts), fields.NumField())
	}
	for i, f := range facts {
		field := fields.Type().Field(i)
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); f.Name != name || f.Label == "" {
			t.Errorf("%s: %+v", field.Name, f)
		}
		if fields.Field(i).IsZero() {
			t.Errorf("KeyOf does not set %s", field.Name)
		}
		other := key
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		if other.Facts()[i].Value == f.Value {
			t.Errorf("%s is not a fact: %+v", field.Name, f)
		}
	}
}

// Keys that differ in any field have other series. Users type the ID, and keep it
// in scripts: it must not change.
func TestSeriesID(t *testing.T) {
	t.Parallel()
	key := KeyOf(fullEnvironment())
	elsewhere := key
	elsewhere.Node, elsewhere.Engine = "", ""
	if got, want := elsewhere.SeriesID(), "d458d763"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range reflect.TypeFor[Key]().NumField() {
		other := key
		reflect.ValueOf(&other).Elem().Field(i).SetZero()
		if other.SeriesID() == key.SeriesID() {
			t.Errorf("the same without %s", reflect.TypeFor[Key]().Field(i).Name)
		}
	}
}

// Runs by hand are series of their own. Those of earlier versions and of nights are not.
func TestSeriesByHand(t *testing.T) {
	t.Parallel()
	byCommand := map[string]string{}
	for _, command := range []string{"", CommandRun, CommandNightly, CommandMatrix, CommandFleet} {
		r := fullEnvironment()
		r.Command = command
		byCommand[command] = NewRunSummary(r).SeriesID()
	}
	night := KeyOf(fullEnvironment()).SeriesID()
	if byCommand[""] != night || byCommand[CommandNightly] != night || byCommand[CommandMatrix] != night || byCommand[CommandRun] == night || len(byCommand[CommandRun]) != 8 {
		t.Errorf("%v, of the key %s", byCommand, night)
	}
}
