package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

// shared is a comparison on a network that other containers use.
const shared = `
name: shared
network: bridge
lab: {allow_shared_network: true}
load: {requests: 600, rate: 600}
rounds: 3
until: {rounds_max: 3}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`

// neighbour starts a container that is not the lab's on a network, and returns its
// id.
func (e *engine) neighbour(t *testing.T, network string) (id string) {
	t.Helper()
	program, err := os.ReadFile(binary)
	must(t, err)
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	must(t, w.WriteHeader(&tar.Header{Name: "serve", Mode: 0o755, Size: int64(len(program))}))
	_, err = w.Write(program)
	must(t, err)
	must(t, w.Close())
	made, err := e.ImageImport(t.Context(), image.ImportSource{Source: &root, SourceName: "-"}, "neighbour:latest", image.ImportOptions{})
	must(t, err)
	must(t, json.NewDecoder(made).Decode(&struct{}{})) // it is imported when the answer has come
	must(t, made.Close())
	c, err := e.ContainerCreate(t.Context(), &container.Config{Image: "neighbour:latest", Cmd: []string{"/serve", "serve"}},
		&container.HostConfig{NetworkMode: container.NetworkMode(network)}, nil, nil, "neighbour")
	must(t, err)
	must(t, e.ContainerStart(t.Context(), c.ID, container.StartOptions{}))
	return c.ID
}

// look returns the state of a container, as far as a change to it would show.
func (e *engine) look(t *testing.T, id string) string {
	t.Helper()
	c, err := e.ContainerInspect(t.Context(), id)
	must(t, err)
	text, err := json.Marshal(map[string]any{"state": c.State, "networks": c.NetworkSettings.Networks, "host": c.HostConfig})
	must(t, err)
	return string(text)
}

// A run on a shared network reports that, and does not disturb the other
// containers.
func TestSharedRun(t *testing.T) {
	e := ownEngine(t)
	id := e.neighbour(t, "bridge")
	e.unchanged(t)
	before := e.look(t, id)

	p := e.start(t, "run", scenarioFile(t, shared), "--force")
	e.passed(t, p, regexp.MustCompile(`(?m)^(-A POSTROUTING .*-o docker0)(?: -m comment --comment snatlab-\S+)? -c [1-9]\d{2,} \d+ (-j MASQUERADE --random-fully)$`))
	e.chatter(t, id, 20) // by the neighbour, in the middle of a trial
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s", code, p.said(t))
	}
	if after := e.look(t, id); after != before {
		t.Errorf("the neighbour was\n%s\nand is\n%s", before, after)
	}

	const note = "network bridge: its rule was rewritten; connections of other containers also passed it"
	if printed := strings.Join(strings.Fields(string(p.printed(t))), " "); !strings.Contains(printed, " shared "+note+" ") {
		t.Errorf("the note is missing in\n%s", p.printed(t))
	}
	markdown, err := os.ReadFile(filepath.Join(p.out, "report.md"))
	if err != nil || !strings.Contains(string(markdown), "\n- shared "+note+"\n") {
		t.Errorf("%v: the note is missing in\n%s", err, markdown)
	}
	r := p.result(t)
	if r.Environment.SharedNetwork != "bridge" || r.Environment.ClientNetwork != "172.17.0.0/16" {
		t.Errorf("environment %+v", r.Environment)
	}
	others := 0
	for _, arm := range r.Arms {
		if !strings.Contains(arm.Rule, "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE") || strings.Contains(arm.Rule, "random") != (arm.Name == "random-fully") {
			t.Errorf("%s: rule %s", arm.Name, arm.Rule)
		}
		for _, trial := range arm.Trials {
			others += matchedBesides(t, trial)
			if trial.Requests != 1200 || sum(trial.Causes) != trial.Failed || trial.Causes[result.Unexplained] != 0 {
				t.Errorf("%s, round %d: %+v", arm.Name, trial.Round, trial)
			}
		}
	}
	if countTrials(r) != 6 || others == 0 || others > 20 {
		t.Errorf("in %d trials the rule matched %d of the neighbour's 20 connections", countTrials(r), others)
	}
}

// chatter lets a container send packets to n ports of the lab's server, through the
// masquerade rule of its own network.
func (e *engine) chatter(t *testing.T, id string, n int) {
	t.Helper()
	c, err := e.ContainerInspect(t.Context(), id)
	must(t, err)
	server, err := e.ContainerInspect(t.Context(), e.part(t, "server"))
	must(t, err)
	for _, network := range server.NetworkSettings.Networks {
		e.do(t, "nsenter", "-t", strconv.Itoa(c.State.Pid), "--net", "bash", "-c",
			fmt.Sprintf("for port in $(seq %d); do echo > /dev/udp/%s/$port; done", n, network.IPAddress))
	}
}

// After SIGKILL, cleanup restores the rule of a shared network.
func TestSharedKill(t *testing.T) {
	e := ownEngine(t)
	id := e.neighbour(t, "bridge")
	e.unchanged(t)
	before := e.look(t, id)
	p := e.start(t, "run", scenarioFile(t, shared), "--force")
	e.passed(t, p, regexp.MustCompile(`(?m)^(-A POSTROUTING .*-o docker0)(?: -m comment --comment snatlab-\S+)? -c [1-9]\d{2,} \d+ (-j MASQUERADE --random-fully)$`))
	var holder struct{ PID int }
	must(t, json.Unmarshal([]byte(e.do(t, "cat", "/run/snatlab/lock")), &holder))
	const theirs = "POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE --random-fully"
	e.iptables(t, "-t nat -A "+theirs) // a rule of an operator, equal to the lab's rule except for the mark
	e.do(t, "kill", "-KILL", strconv.Itoa(holder.PID))
	p.wait(t)
	if said := e.cleanup(t); !strings.Contains(said, "undoing: masquerade rule -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE --random-fully\n") {
		t.Errorf("cleanup: %s", said)
	}
	e.iptables(t, "-t nat -D "+theirs) // fails if the rule is gone
	if diff := cmp.Diff(before, e.look(t, id)); diff != "" {
		t.Errorf("the neighbour has changed: %s", diff)
	}
}

// A network that does not masquerade is refused.
func TestSharedNoMasquerade(t *testing.T) {
	e := ownEngine(t)
	for name, want := range map[string]string{
		"host":    "snatlab: network host: its driver is host; a bridge network that masquerades is required\n",
		"nowhere": "snatlab: find network nowhere: Error response from daemon: network nowhere not found (see `docker network ls`)\n",
	} {
		e.unchanged(t)
		p := e.start(t, "run", scenarioFile(t, strings.Replace(shared, "network: bridge", "network: "+name, 1)), "--force")
		p.brokeOff(t, want)
	}
}

// If an operator's rule has the same text as the lab's, the run is refused
// before anything is made.
func TestSharedForeignRule(t *testing.T) {
	e := ownEngine(t)
	const rule = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"
	for _, c := range []struct{ name, theirs, want string }{
		{"with_the_new_text", rule + " --random-fully", `POSTROUTING holds the new text already: rule 2 is "` + rule + ` --random-fully", rule 1, which would get the same text, is "` + rule + `"`},
		{"with_the_text_of_Docker", rule, `POSTROUTING holds this text more than once: rule 1 is "` + rule + `", rule 2 is "` + rule + `"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.iptables(t, "-t nat "+c.theirs)
			before := e.do(t, "iptables-save", "-t", "nat")
			p := e.start(t, "run", scenarioFile(t, shared), "--force")
			p.brokeOff(t, "snatlab: network bridge: rewrite masquerade rule "+rule+": "+c.want)
			if after := e.do(t, "iptables-save", "-t", "nat"); withoutComments(after) != withoutComments(before) {
				t.Errorf("the rules were\n%s\nand are\n%s", before, after)
			}
			e.iptables(t, "-t nat "+strings.Replace(c.theirs, "-A", "-D", 1))
		})
	}
}

// withoutComments removes the time and the counters from the output of iptables-save.
// Docker's traffic changes the counters.
func withoutComments(saved string) string {
	return regexp.MustCompile(`(?m)^#.*$|\[\d+:\d+\]`).ReplaceAllString(saved, "")
}
