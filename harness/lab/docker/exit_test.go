package docker

import (
	"maps"
	"net/http"
	"testing"

	"snatlab/harness/lab"
)

// A container ended with exit code 2: by itself, or because its engine was about to
// stop. The reason does not depend on whether the engine still answers, or answers
// again.
func TestExitReason(t *testing.T) {
	ended := map[string]http.HandlerFunc{
		"POST /containers/c/wait": answerWith(`{"StatusCode":2}`),
		"GET /containers/c/json":  answerWith(`{"Id":"c","State":{"Status":"exited","ExitCode":2}}`),
	}
	const gone = "was it stopped, or restarted?; it left no output"
	for _, test := range []struct {
		name   string
		events http.HandlerFunc
		does   func(*fakeEngine)
		want   string
	}{
		{"an engine that was there all the time", answerForever, func(*fakeEngine) {}, "exit code 2; it left no output"},
		{"an engine that serves old connections only", answerForever, func(e *fakeEngine) { e.closeUp() },
			"the Docker engine at ADDRESS went away as well (no engine answers): " + gone},
		{"an engine that is gone", answerForever, func(e *fakeEngine) { e.stop() },
			"the Docker engine at ADDRESS went away as well (no engine answers): " + gone},
		{"an engine that is back before it is asked", answerForever, func(e *fakeEngine) { e.restart() },
			"the Docker engine at ADDRESS went away as well (it is back by now): " + gone},
		{"an engine whose place another takes", answerForever, func(e *fakeEngine) { e.replace() },
			"the Docker engine at ADDRESS went away as well (it is back by now): " + gone},
		{"an engine without events, which is back", nil, func(e *fakeEngine) { e.restart() }, "exit code 2; it left no output"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := maps.Clone(ended)
			answers["GET /events"] = test.events
			e := startEngine(t, answers)
			engine, err := connectEngine("")
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			l := newDockerLab(&Host{docker: engine}, Config{})
			if l.watch, err = l.host.openWatch(t.Context()); (err == nil) != (test.events != nil) {
				t.Fatal(err)
			}
			defer l.watch.Close()
			if _, err := engine.Ping(t.Context()); err != nil { // a connection that stays open
				t.Fatal(err)
			}
			test.does(e)
			if got := e.anonymous(l.exitReason("c", &lab.StderrTail{})); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
