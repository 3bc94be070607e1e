package report

import (
	"bytes"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// The results in testdata are judged by package verdict, whose tests keep
// them so.
func TestWriteResult(t *testing.T) {
	t.Parallel()
	for _, path := range reporttest.Fixtures(t) {
		r, err := resultfile.ReadResult(path)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(path, ".json")
		reporttest.CheckGolden(t, base+".txt", reporttest.Draw(t, WriteText, r))
		reporttest.CheckGolden(t, base+".md", reporttest.Draw(t, WriteMarkdown, r))
	}
}

// A result of before there were intervals, settings and footnotes is still drawn: its
// low and high were those of a trial.
func TestWriteOldResult(t *testing.T) {
	t.Parallel()
	r, err := resultfile.ReadResult("testdata/old")
	if err != nil {
		t.Fatal(err)
	}
	reporttest.CheckGolden(t, "testdata/old/report.txt", reporttest.Draw(t, WriteText, r))
	reporttest.CheckGolden(t, "testdata/old/report.md", reporttest.Draw(t, WriteMarkdown, r))
}

func TestProgress(t *testing.T) {
	t.Parallel()
	r, err := resultfile.ReadResult("testdata/interrupted.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, terminal := range map[string]bool{"terminal": true, "log": false} {
		var out bytes.Buffer
		follow(NewProgress(&out, terminal), r)
		// Escapes are shown as text, and each rewritten line on a line of its own.
		shown := strings.NewReplacer("\r", "\\r", "\x1b", "\\e").Replace(out.String())
		reporttest.CheckGolden(t, "testdata/progress-"+name+".txt", strings.ReplaceAll(shown, "\\r", "\n\\r"))
	}
}

// follow shows p the events of a run.
func follow(p *Progress, r *result.Result) {
	p.Say("building the probe image")
	p.Say("starting 4 clients")
	for _, trial := range result.TrialsByRound(r.Arms) {
		at := result.Progress{Arm: trial.Arm, Round: trial.Round, Rounds: r.Scenario.Rounds}
		p.Start(at)
		p.Done(at, &trial.Trial)
	}
	hits := result.Progress{Arm: "random", Round: 3, Hits: 977, HitsWanted: 1000}
	p.Start(hits)
	hits.Hits += 400
	p.Done(hits, &r.Arms[0].Trials[0])
	p.Start(result.Progress{Arm: "masquerade"})
	p.Say("putting the host back")
	p.Say("")
}
