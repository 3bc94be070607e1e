package harness

import (
	"fmt"
	"testing"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// Connections that stay open need a file of their client and one of the server.
func TestHoldConnections(t *testing.T) {
	t.Parallel()
	const advice = ", of which 32 are for other uses; send fewer requests (load.requests), set a lower load.rate or a shorter load.hold, or raise the limit of open files (ulimit -n)"
	for _, test := range []struct {
		name          string
		load          scenario.LoadSettings
		every         int // of the control; 0: none
		files, server int
		err           string
	}{
		{"nothing stays open", scenario.LoadSettings{Pattern: result.Lockstep, Requests: 1000}, 1, 64, 64, ""},
		{"exactly enough", scenario.LoadSettings{Pattern: result.Lockstep, Requests: 1000, Hold: time.Second}, 1, 2032, 4032, ""},
		{"a client with too few files", scenario.LoadSettings{Pattern: result.Lockstep, Requests: 1000, Hold: time.Second}, 1, 2031, 4032,
			"load.hold: a client keeps up to 2,000 connections open at one time, and may open 2031 files" + advice},
		{"a server with too few files", scenario.LoadSettings{Pattern: result.Lockstep, Requests: 1000, Hold: time.Second}, 0, 2032, 2031,
			"load.hold: the server keeps up to 2,000 connections open at one time, and may open 2031 files" + advice},
		{"a rate bounds them", scenario.LoadSettings{Pattern: result.Lockstep, Requests: 1000, Rate: 100, Hold: time.Second, Timeout: 500 * time.Millisecond}, 1, 183, 334, ""},
		{"and so does the concurrency", scenario.LoadSettings{Pattern: result.Ephemeral, Requests: 1000, Concurrency: 10, Close: result.CloseFIN}, 0, 42, 52, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeLab(t, 2)
			for _, c := range f.clients {
				c.Hello.Files = test.files
			}
			f.server.Hello.Files = test.server
			s := ephemeralScenario(2)
			s.Load = test.load
			x := &experiment{Scenario: s, lab: f, control: control{every: test.every}}
			if err := x.holdConnections(); (err != nil || test.err != "") && fmt.Sprint(err) != test.err {
				t.Errorf("error %v, want %s", err, test.err)
			}
			if f.hold != test.load.Hold || f.closes != test.load.Close {
				t.Errorf("the server holds connections for %v, and they are closed by %q", f.hold, f.closes)
			}
		})
	}
}
