package progress

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func eighty() layout.Screen { return layout.Screen{} }

// A log has a line for each phase and for each finished trial, and none is wider than 80
// columns.
func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	follow(t, New(Output{Writer: &out, Screen: eighty}))
	for line := range strings.Lines(out.String()) {
		if n := layout.Width(strings.TrimSuffix(line, "\n")); n > layout.DefaultWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	reporttest.CheckGolden(t, "testdata/log.txt", out.String())
}

// A terminal has one line, which is overwritten, and nothing is left of it at the end.
func TestTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := New(Output{Writer: &out, Screen: eighty, Terminal: true})
	follow(t, p)
	p.Close()
	if text := out.String(); strings.Contains(text, "\n") || !strings.HasSuffix(text, eraseLine) {
		t.Errorf("got %q", text)
	}
	for _, want := range []string{"starting 4 clients", "warm-up", "trial 7 of 24", "random-fully", "failed 3,971", "hits 977/1,000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the line never shows %s", want)
		}
	}
}

// follow shows p the events of a run.
func follow(t *testing.T, p *Progress) {
	r, err := resultfile.ReadResult("../testdata/interrupted.json")
	if err != nil {
		t.Fatal(err)
	}
	p.Say("loading the probe image")
	p.Say("starting 4 clients")
	p.Start(result.Progress{Arm: "masquerade"})
	p.Done(result.Progress{Arm: "masquerade"}, &r.Arms[0].Trials[0])
	for i, trial := range result.TrialsByRound(r.Arms) {
		at := result.Progress{Arm: trial.Arm, Round: trial.Round, Rounds: r.Scenario.Rounds, TrialsDone: i, Trials: 24, Share: float64(i) / 24}
		p.Start(at)
		at.TrialsDone++
		p.Done(at, &trial.Trial)
	}
	controlled := reporttest.ReadFixture(t, "control").Arms[1].Trials[0]
	hits := result.Progress{Arm: "random", Round: 3, Hits: 977, HitsWanted: 1000}
	p.Start(hits)
	hits.Hits += 400
	p.Done(hits, &controlled)
	p.Say("restoring the host")
	p.Say("")
}

// The line of a terminal fits any width, and says what matters most where there is little
// room.
func TestLine(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	fixed := state{running: true, begun: begun, failed: 1562, at: result.Progress{Arm: "random-fully", Round: 4, Rounds: 8, TrialsDone: 6, Trials: 16, Share: 0.375}}
	waits := state{running: true, begun: begun, failed: 1562, at: result.Progress{Arm: "masquerade", Round: 4, TrialsDone: 6, Hits: 423, HitsWanted: 1100, Share: 0.38}}
	warmUp := state{running: true, at: result.Progress{Arm: "masquerade"}}
	var text strings.Builder
	for _, tc := range []struct {
		name string
		of   part
		s    state
	}{
		{"run", part{}, fixed},
		{"run until hits", part{}, waits},
		{"set-up", part{}, state{phase: "starting client 3 of 64"}},
		{"warm-up", part{}, warmUp},
		{"nightly", part{"scenario", 2, 5, "docker-masquerade, attempt 3", false}, fixed},
		{"calibrate", part{"run", 31, 100, "", true}, waits},
		{"matrix", part{"kernel", 3, 7, "6.12.107+deb13-cloud-amd64", false}, fixed},
	} {
		fmt.Fprintf(&text, "%s\n", tc.name)
		for _, on := range []layout.Screen{{Width: 10}, {Width: 20}, {Width: 40}, {Width: 60}, {Width: 80}, {Width: 120}, {Width: 200}, {Width: 80, ASCII: true}} {
			line := drawLine(on, tc.of, tc.s, begun.Add(-3*time.Second), begun.Add(12*time.Second))
			if layout.Width(line) >= on.Width {
				t.Errorf("%s at %d columns: %q", tc.name, on.Width, line)
			}
			fmt.Fprintf(&text, "%4d  %s\n", on.Width, line)
		}
	}
	reporttest.CheckGolden(t, "testdata/line.txt", text.String())
}

// A line that stays is one line in a log, and fits a terminal.
func TestWriteLine(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(strings.Repeat("word ", 20))
	for width, want := range map[int]int{0: 1, 60: 2, 200: 1} {
		var out bytes.Buffer
		WriteLine(&out, layout.Screen{Width: width}, text)
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%d columns: %d lines, want %d", width, got, want)
		}
	}
}

// Names from outside steer no terminal.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	const hostile = "a\x1b[2J\nb"
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		p := New(Output{Writer: &out, Screen: eighty, Terminal: terminal})
		p.Part(hostile, 1, 2, hostile)
		p.Say(hostile)
		p.Start(result.Progress{Arm: hostile, Round: 1})
		p.Done(result.Progress{Arm: hostile, Round: 1}, &result.Trial{})
		p.Note(hostile)
		p.Close()
		if text := strings.ReplaceAll(out.String(), eraseLine, ""); strings.Contains(text, "\x1b") {
			t.Errorf("got %q", text)
		}
	}
}

// A writer that fails ends nothing.
func TestBrokenPipe(t *testing.T) {
	t.Parallel()
	for _, terminal := range []bool{false, true} {
		p := New(Output{Writer: broken{}, Screen: eighty, Terminal: terminal})
		follow(t, p)
		p.Close()
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
