package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

var update = flag.Bool("update", false, "write what is printed now to testdata")

// The results in testdata are judged by package verdict, whose tests keep
// them so.
func TestReportsAreDrawnAsTheGoldensShow(t *testing.T) {
	for _, path := range fixtures(t) {
		r, err := resultfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(path, ".json")
		golden(t, base+".txt", draw(t, Text, r))
		golden(t, base+".md", draw(t, Markdown, r))
	}
}

// That result was written before there were intervals, settings and footnotes:
// its low and high were those of a trial.
func TestAResultOfLongAgoIsDrawnStill(t *testing.T) {
	r, err := resultfile.Read("testdata/old")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/old/report.txt", draw(t, Text, r))
	golden(t, "testdata/old/report.md", draw(t, Markdown, r))
}

func TestProgressIsDrawnAsTheGoldensShow(t *testing.T) {
	r, err := resultfile.Read("testdata/interrupted.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, terminal := range map[string]bool{"terminal": true, "log": false} {
		var out bytes.Buffer
		follow(NewProgress(&out, terminal), r)
		// Escapes are shown as such, and each rewritten line on one of its own.
		shown := strings.NewReplacer("\r", "\\r", "\x1b", "\\e").Replace(out.String())
		golden(t, "testdata/progress-"+name+".txt", strings.ReplaceAll(shown, "\\r", "\n\\r"))
	}
}

// follow tells p of a run as it would have happened.
func follow(p *Progress, r *result.Result) {
	p.Say("building the probe image")
	p.Say("starting 4 clients")
	for _, trial := range byRound(r.Arms) {
		p.Start(trial.Round, r.Scenario.Rounds, trial.arm)
		p.Done(trial.Round, r.Scenario.Rounds, trial.arm, &trial.Trial)
	}
	p.Start(3, r.Scenario.Rounds, "random")
	p.Say("putting the host back")
	p.Say("")
}

func fixtures(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no results: %v", err)
	}
	return paths
}

func draw(t *testing.T, report func(io.Writer, *result.Result) error, r *result.Result) string {
	t.Helper()
	var out bytes.Buffer
	if err := report(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
