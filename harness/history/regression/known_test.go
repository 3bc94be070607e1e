package regression

import (
	"errors"
	"strings"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

const knownFile = `
- scenario: quickstart
  arm: random-fully
  kernel: ">=6.12, <6.14"
  reason: fixed by 0123abcd,
    which is in 6.14
  until: 2026-11-21
`

// A known failure excuses the findings that it names until its last day.
func TestKnownFailure(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("known.yaml", []byte(knownFile))
	checkError(t, err)
	for name, c := range map[string]struct {
		like    historytest.RunSpec
		excused bool
		warned  bool
	}{
		"its kernel":     {historytest.RunSpec{Day: 20, Failed: 950}, true, false}, // 2026-11-21
		"another kernel": {historytest.RunSpec{Day: 20, Failed: 950, Kernel: "6.14.0"}, false, false},
		"a day later":    {historytest.RunSpec{Day: 21, Failed: 950}, false, true},
	} {
		before := makePast(20)
		j := Evaluate(makeAttempts(2, c.like), before, known)
		if len(j.Findings) != 2 {
			t.Fatalf("%s: %+v", name, j)
		}
		for _, f := range j.Findings {
			if want := map[bool]string{true: "fixed by 0123abcd, which is in 6.14"}[c.excused]; f.Known != want {
				t.Errorf("%s: %s: known %q, want %q", name, f.Kind, f.Known, want)
			}
		}
		warned := len(j.Warnings) == 1 && strings.Contains(j.Warnings[0], `the known failure "fixed by 0123abcd, which is in 6.14" expired on 2026-11-21`)
		if warned != c.warned {
			t.Errorf("%s: %q", name, j.Warnings)
		}
	}
}

// A failure from the first day on can be entered as known.
func TestKnownFirstRun(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("known.yaml", []byte(knownFile))
	checkError(t, err)
	j := Evaluate(makeAttempts(1, historytest.RunSpec{Failed: 950}), nil, known)
	if len(j.Findings) != 1 || j.Findings[0].Known == "" || j.Findings[0].Kind != result.ExpectationBroken ||
		!strings.HasSuffix(j.Findings[0].Text, ", and never has") {
		t.Errorf("%+v", j)
	}
	if j := Evaluate(makeAttempts(1, historytest.RunSpec{Failed: 950}), nil, nil); len(j.Findings) > 0 {
		t.Errorf("%+v", j)
	}
}

// Every mistake is named with its place.
func TestParseKnownFaults(t *testing.T) {
	t.Parallel()
	const keys = "arm, kernel, node, reason, scenario, until"
	for text, want := range map[string]string{
		"":                     "",
		"# nothing is known\n": "",
		"[]":                   "",
		"scenario: x":          "k:1:1: known failures: a mapping is not a list; allowed: a list, of at most 10000 entries, each a mapping of " + keys,
		"- x":                  `k:1:3: known failures: "x" is not a mapping; allowed: a mapping of ` + keys,
		"- {":                  "k:2:1: YAML: did not find expected node content",
		knownFile + "---\n- x": "k:8:1: a second document begins; allowed: one in a file",
		"- {scenario: a, kernel: '>=6', reason: c, until: tomorrow, since: 1}": "k:1:25: kernel: \">=6\" is not allowed; allowed: bounds like \">=6.12, <6.14\" or \"=6.18\" (which is 6.18 and every 6.18.y)\n" +
			"k:1:50: until: \"tomorrow\" is not a day; allowed: a day like 2027-01-31\n" +
			"k:1:60: unknown key \"since\" in known failures; allowed: " + keys,
		"- {scenario: a, scenario: b, kernel: '<7.0', until: 2027-01-31, reason: }": "k:1:17: key \"scenario\" is already at line 1\nk:1:73: reason: is empty; allowed: a sentence",
		"- {scenario: [a], kernel: '<7.0', reasn: x}": "k:1:3: reason: is missing; allowed: a sentence\n" +
			"k:1:3: until: is missing; allowed: a day like 2027-01-31\n" +
			"k:1:14: scenario: a list is not text; allowed: the name of a scenario\n" +
			"k:1:35: unknown key \"reasn\" in known failures; allowed: " + keys + " (did you mean \"reason\"?)",
	} {
		_, err := ParseKnown("k", []byte(text))
		got := ""
		if err != nil {
			got = err.Error()
			if !errors.As(err, new(strictyaml.Faults)) {
				t.Errorf("%q: %T", text, err)
			}
		}
		if got != want {
			t.Errorf("%q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

// A number, such as that of a ticket, and a day need no quotes.
func TestParseKnownScalars(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("k", []byte("- {scenario: 7, arm: true, kernel: =6.12, reason: 4711, until: 2027-01-31}"))
	checkError(t, err)
	k := known[0]
	if k.Scenario != "7" || k.Arm != "true" || k.Reason != "4711" || k.Kernel != "=6.12" || k.Until.Day() != 31 || !k.isAbout(result.RunSummary{Key: result.Key{Scenario: "7", Node: "worker-1"}, Kernel: "6.12.9"}) {
		t.Errorf("%+v", k)
	}
}

// An entry with a node is about no other one, nor about a machine that is none.
func TestKnownNode(t *testing.T) {
	t.Parallel()
	known, err := ParseKnown("k", []byte("- {scenario: s, node: worker-1, kernel: =6.12, reason: r, until: 2027-01-31}"))
	checkError(t, err)
	for node, want := range map[string]bool{"worker-1": true, "worker-2": false, "": false} {
		if got := known[0].isAbout(result.RunSummary{Key: result.Key{Scenario: "s", Node: node}, Kernel: "6.12.9"}); got != want {
			t.Errorf("node %q: %v", node, got)
		}
	}
}

// Releases are compared by their numbers.
func TestKernelRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kernels, kernel string
		want            bool
	}{
		{">=6.12, <6.14", "6.12.107-cloud-amd64", true},
		{">=6.12, <6.14", "6.13.12", true},
		{">=6.12, <6.14", "6.14.0", false},
		{">=6.12, <6.14", "6.9.1", false}, // 9 is less than 12
		{">=6.12, <6.14", "6.14.0-rc3+", true},
		{">=6.14", "6.14.0-rc3+", false},
		{">=6.14-rc2", "6.14.0-rc3", true},
		{"=6.12", "6.12.107", true},
		{"=6.12", "6.120.1", false},
		{"=6.12.10", "6.12.107", false},
		{"<5.0", "4.19.0-27-amd64", true},
		{"<5.0", "next", false},
	} {
		r, err := parseRange(c.kernels)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.contains(c.kernel); got != c.want {
			t.Errorf("%s in %q: %v", c.kernel, c.kernels, got)
		}
	}
}

func FuzzParseKnown(f *testing.F) {
	f.Add([]byte(knownFile))
	f.Add([]byte("- {scenario: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		known, err := ParseKnown("k", data)
		if err != nil {
			if !errors.As(err, new(strictyaml.Faults)) || strings.Contains(err.Error(), "k:0:") {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		for _, k := range known {
			if k.Scenario == "" || k.Reason == "" || k.Until.IsZero() || len(k.kernels) == 0 {
				t.Errorf("%+v", k)
			}
		}
	})
}
