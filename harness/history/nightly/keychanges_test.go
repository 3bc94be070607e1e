package nightly

import (
	"reflect"
	"testing"

	"snatlab/harness/result"
)

func withEngine(version string) func(*result.Result) {
	return func(r *result.Result) { r.Environment.Docker = &version }
}

// An upgrade of the engine restarts the history, and is reported once.
func TestKeyChangeOnUpgrade(t *testing.T) {
	t.Parallel()
	s := makeStore(t, 3, withEngine("28.1.0"))
	for _, want := range []string{"docker 28.1.0 -> 28.1.1", ""} {
		j := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t, withEngine("28.1.1"))))).Runs[0]
		if j.KeyChange != want || (j.Compared == 0) != (want != "") {
			t.Errorf("%q, want %q; set against %d runs", j.KeyChange, want, j.Compared)
		}
	}
}

// Every field of a key is reported, or makes another lab. A change that is not reported
// would leave the user with "first run" night after night.
func TestKeyChangeFields(t *testing.T) {
	t.Parallel()
	tonight := result.Key{Scenario: "quickstart", Hash: "5b0c94d2e1a7", CPUs: 2, Docker: "28.1.0"}
	other := map[string]bool{"Scenario": true, "Hash": true, "Driver": true, "Rootless": true, "Guest": true}
	for i := range reflect.TypeFor[result.Key]().NumField() {
		name := reflect.TypeFor[result.Key]().Field(i).Name
		old := tonight
		switch field := reflect.ValueOf(&old).Elem().Field(i); field.Kind() {
		case reflect.String:
			field.SetString("another")
		case reflect.Int:
			field.SetInt(4)
		case reflect.Bool:
			field.SetBool(true)
		default:
			t.Fatalf("%s is a %s", name, field.Kind())
		}
		if said := findKeyChanges(tonight, []result.RunSummary{{Key: old}}); (said == "") != other[name] {
			t.Errorf("%s: said %q", name, said)
		}
	}
}

// Changes are those since the last run that ended by itself.
func TestKeyChangeSince(t *testing.T) {
	t.Parallel()
	run := func(docker, incomplete string) result.RunSummary {
		return result.RunSummary{Key: result.Key{Docker: docker}, Incomplete: incomplete}
	}
	before := []result.RunSummary{run("27.0.0", ""), run("28.1.0", ""), run("28.1.1", "interrupted by SIGTERM")}
	if said := findKeyChanges(result.Key{Docker: "28.1.1"}, before); said != "docker 28.1.0 -> 28.1.1" {
		t.Errorf("said %q", said)
	}
	if said := findKeyChanges(result.Key{Docker: "28.1.1"}, nil); said != "" {
		t.Errorf("said %q of a first run", said)
	}
}

// A changed scenario restarts the history, and its keys are reported once. The file may be
// the same, read by a version with other defaults.
func TestScenarioChange(t *testing.T) {
	t.Parallel()
	of := func(hash, text string) func(*result.Result) {
		return func(r *result.Result) { r.Scenario.Hash, r.Scenario.Text = hash, text }
	}
	s := makeStore(t, 3, of("sha256:000000000000", "name: x\nrounds: 8\n"))
	for _, want := range []string{"scenario: rounds 8 -> 6", ""} {
		j := mustRun(t, makeRunner(s, jobWith("docker-masquerade", makeRun(t, of("sha256:111111111111", "name: x\nrounds: 6\n"))))).Runs[0]
		if j.KeyChange != want {
			t.Errorf("%q, want %q", j.KeyChange, want)
		}
	}
}
