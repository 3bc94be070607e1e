package docker

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
)

// Changes that another program makes to a lab are reported.
func TestIntact(t *testing.T) {
	b := realEngine(t).open(2)
	docker, network := b.host.docker, b.clientNet.name
	taken := b.containerName("client-1")
	off := "container " + taken + " was taken off network " + network + ": somebody disconnected it, or removed the network"
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"nothing", func() error { return nil }, ""},
		{"paused", func() error { return docker.ContainerPause(t.Context(), taken) }, "container " + taken + " is paused: another user or program paused it (run again, and leave the containers of the run alone)"},
		{"let go on", func() error { return docker.ContainerUnpause(t.Context(), taken) }, ""},
		{"disconnected", func() error { return docker.NetworkDisconnect(t.Context(), network, taken, true) }, off},
		{"connected again", func() error { return docker.NetworkConnect(t.Context(), network, taken, nil) }, off},
		{"killed, which ends its stream", func() error { return docker.ContainerKill(t.Context(), taken, "KILL") }, ""},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		// A container that was killed stays listed for a moment.
		err := b.Intact(t.Context())
		for begun := time.Now(); step.want == "" && err != nil && time.Since(begun) < 5*time.Second; err = b.Intact(t.Context()) {
		}
		if got := errorText(err); got != step.want {
			t.Errorf("%s: %q, want %q", step.what, got, step.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A container that was removed is distinguished from one that ended.
func TestExitReasonRemoved(t *testing.T) {
	b := realEngine(t).open(2)
	for client, c := range []struct {
		end  func(name string) error
		want string
	}{
		{func(name string) error { return b.host.docker.ContainerKill(t.Context(), name, "KILL") }, "; exit code 137; "},
		{func(name string) error {
			return b.host.docker.ContainerRemove(t.Context(), name, container.RemoveOptions{Force: true})
		}, "; somebody removed its container; "},
	} {
		if err := c.end(b.containerName([]string{"client-0", "client-1"}[client])); err != nil {
			t.Fatal(err)
		}
		_, err := b.Clients()[client].Run(t.Context(), probe.ClientLoad{Requests: 1})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// An engine that is gone is distinguished from a container that is gone. The engine may
// also be about to stop, and serve old connections only.
func TestExitReasonEngineGone(t *testing.T) {
	e := startEngine(t, map[string]http.HandlerFunc{})
	engine, err := connectEngine("")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	l := newDockerLab(&Host{docker: engine}, Config{})
	if got := l.exitReason("c", &lab.StderrTail{}); got != "somebody removed its container; it left no output" {
		t.Errorf("of a removed container: %s", got)
	}
	if !l.host.isAnswering(t.Context()) {
		t.Error("an engine that is there does not answer")
	}
	e.stop()
	want := "the Docker engine at " + e.address + " went away as well (no engine answers): was it stopped, or restarted?; it left no output"
	if got := l.exitReason("c", &lab.StderrTail{}); got != want {
		t.Errorf("of an engine that is gone: %s", got)
	}
	if l.host.isAnswering(t.Context()) {
		t.Error("an engine that is gone answers")
	}
	if err := l.Intact(t.Context()); err != nil {
		t.Errorf("an engine that is gone: %v", err)
	}
}
