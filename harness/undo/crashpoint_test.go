//go:build testhooks

package undo

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// changes makes two changes and undoes them. In a process that a test has started,
// it may crash.
func changes(t *testing.T) {
	h := &host{}
	j := InMemory(h.undoers())
	h.put(t, j, "a", "b")
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMaybeCrash(t *testing.T) {
	if os.Getenv(crashVariable) != "" {
		changes(t)
		return
	}
	for at, want := range map[string]struct{ points, end string }{
		"list":              {"before:1 a, after:1 a, before:2 b, after:2 b, undo-before:1 b, undo-after:1 b, undo-before:2 a, undo-after:2 a", "exit status 0"},
		"before:2:KILL":     {"before:2 b", "signal: killed"},
		"undo-after:1:TERM": {"undo-after:1 b", "signal: terminated"},
		"after:9:KILL":      {"", "exit status 0"},
		"after:1:panic":     {"after:1 a", "exit status 2"},
		"after:0:KILL":      {"", "exit status 2"},
	} {
		t.Run(at, func(t *testing.T) {
			c := exec.Command(os.Args[0], "-test.run=^TestMaybeCrash$")
			c.Env = append(os.Environ(), crashVariable+"="+at)
			out, _ := c.CombinedOutput()
			if end := c.ProcessState.String(); end != want.end {
				t.Errorf("ends by %s, want %s\n%s", end, want.end, out)
			}
			var points []string
			for line := range strings.Lines(string(out)) {
				if point, ok := strings.CutPrefix(line, crashVariable+": "); ok {
					points = append(points, strings.Replace(strings.TrimSpace(point), "the name ", "", 1))
				}
			}
			if got := strings.Join(points, ", "); got != want.points {
				t.Errorf("passes %q, want %q", got, want.points)
			}
		})
	}
}

func TestParseCrashPoint(t *testing.T) {
	for _, text := range []string{"LIST", "after", "after:1", "after:0:KILL", "after:1:STOP", "later:1:KILL", "after:1:KILL:2", " after:1:KILL"} {
		want := `SNATLAB_TEST_DIE_AT is "` + text + `", which is neither list nor WHEN:N:HOW`
		if d, err := parseCrashPoint(text); err == nil || err.Error() != want {
			t.Errorf("%q: %+v, error %v, want %s", text, d, err, want)
		}
	}
	var nowhere *crashPoint
	nowhere.pass(context.Background(), beforeChange, Step{})
}
