package export

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/perf/benchfmt"

	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func benchResult(t *testing.T, path string, change func(*result.Result)) *result.Result {
	t.Helper()
	r, err := resultfile.ReadResult(path)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	return r
}

// readBench reads text as benchstat does.
func readBench(t *testing.T, text io.Reader) (lines []*benchfmt.Result, units benchfmt.UnitMetadataMap) {
	t.Helper()
	r := benchfmt.NewReader(text, "test")
	for r.Scan() {
		switch record := r.Result().(type) {
		case *benchfmt.Result:
			lines = append(lines, record.Clone())
		case *benchfmt.SyntaxError:
			t.Error(record)
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return lines, r.Units()
}

// A benchmark file is read back whole.
func TestWriteBench(t *testing.T) {
	t.Parallel()
	old := benchResult(t, "../testdata/many.json", nil)
	new := benchResult(t, "../testdata/many.json", func(r *result.Result) {
		r.Environment.Kernel = "7.2.12"
		r.Arms[0].Trials[0].Failed = r.Arms[0].Trials[0].Requests // no latency
		r.Arms[5].Name = "to-ports 1024"                          // what might be taken for CPUs, and a space
	})
	var text bytes.Buffer
	column, err := WriteBench(&text, BenchSide{"old", []*result.Result{old}}, BenchSide{"new", []*result.Result{new}})
	if err != nil || column != "kernel" {
		t.Fatalf("%q, %v", column, err)
	}
	lines, units := readBench(t, &text)
	trials := append(result.TrialsByRound(old.Arms), result.TrialsByRound(new.Arms)...)
	if len(lines) != len(trials) {
		t.Fatalf("%d lines of %d trials", len(lines), len(trials))
	}
	for i, line := range lines {
		trial := trials[i]
		base, parts := line.Name.Parts()
		if string(base) != "Mitigations" || len(parts) != 2 || string(parts[0]) != "/arm="+benchWord(trial.Arm) || string(parts[1]) != "-2" {
			t.Errorf("%s is read as %s %s", line.Name, base, parts)
		}
		want := "6.18.44"
		if i >= len(trials)/2 {
			want = "7.2.12"
		}
		if got := line.GetConfig("kernel"); got != want {
			t.Errorf("kernel %s, want %s", got, want)
		}
		if rate, ok := line.Value("fail/req"); !ok || rate != float64(trial.Failed)/float64(trial.Requests) || line.Iters != trial.Requests {
			t.Errorf("%s: %v", line.Name, line.Values)
		}
		if p99, ok := line.Value("p99-sec"); ok != (trial.Failed < trial.Requests) || ok && p99 != float64(trial.Latency.P99)/1e6 {
			t.Errorf("%s: %v", line.Name, line.Values)
		}
	}
	if units.GetBetter("fail/req") != -1 {
		t.Error("fewer failures are not better")
	}
}

// A fact that differs between results is no configuration line.
func TestBenchSides(t *testing.T) {
	t.Parallel()
	old := benchResult(t, "../testdata/docker.json", nil)
	new := benchResult(t, "../testdata/docker.json", func(r *result.Result) { r.Environment.Docker = new("29.0.1") })
	var text bytes.Buffer
	column, err := WriteBench(&text, BenchSide{"before upgrade\n", []*result.Result{old}}, BenchSide{"after", []*result.Result{new}})
	if err != nil || column != "side" {
		t.Fatalf("%q, %v", column, err)
	}
	lines, _ := readBench(t, &text)
	if side, docker := lines[0].GetConfig("side"), lines[0].GetConfig("docker"); side != "before upgrade" || docker != "" {
		t.Errorf("side %q, docker %q", side, docker)
	}
	text.Reset()
	if column, err := WriteBench(&text, BenchSide{"old", []*result.Result{old}}); column != "" || err != nil {
		t.Errorf("%q, %v", column, err)
	}
}
