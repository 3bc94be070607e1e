package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"

	dockernet "github.com/docker/docker/api/types/network"

	"snatlab/harness/undo"
)

// holdingEngine is a fake engine with one network of a run. It does not remove the
// network while it counts endpoints on it, and words that as Docker 20.10 does.
type holdingEngine struct {
	mu           sync.Mutex
	listed       map[string]string // the endpoints' names, keyed as an engine lists them
	counted      int               // endpoints that it counts
	stubborn     bool              // disconnecting changes nothing
	disconnected []string
	tries        int
}

const (
	heldNetwork = "snatlab-run-clients"
	heldID      = "5f0b2c6d7e8f90112233445566778899aabbccddeeff00112233445566778899"
)

func (e *holdingEngine) start(t *testing.T) *fakeEngine {
	t.Helper()
	found := `{"Name":"` + heldNetwork + `","Id":"` + heldID + `","Labels":{"snatlab.run":"run"}`
	return startEngine(t, map[string]http.HandlerFunc{
		"GET /networks": answerWith("[" + found + "}]"),
		"GET /networks/" + heldID: func(w http.ResponseWriter, r *http.Request) {
			answerWith(found+`,"Containers":`+e.containers()+"}")(w, r)
		},
		"POST /networks/" + heldID + "/disconnect": e.disconnect,
		"DELETE /networks/" + heldID:               e.remove,
		"GET /containers/ours/json":                answerWith(`{"Id":"ours","Config":{"Labels":{"snatlab.run":"run"}}}`),
		"GET /containers/theirs/json":              answerWith(`{"Id":"theirs","Config":{"Labels":{}}}`),
		"GET /containers/gone/json":                answerError(http.StatusNotFound, "No such container: gone"),
	})
}

func (e *holdingEngine) containers() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]dockernet.EndpointResource{}
	for key, name := range e.listed {
		all[key] = dockernet.EndpointResource{Name: name, EndpointID: "0123456789abcdef0123"}
	}
	text, _ := json.Marshal(all)
	return string(text)
}

func (e *holdingEngine) disconnect(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var asked dockernet.DisconnectOptions
	_ = json.Unmarshal(body, &asked)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.disconnected = append(e.disconnected, fmt.Sprintf("%s force=%v", asked.Container, asked.Force))
	for key, name := range e.listed {
		if name == asked.Container && !e.stubborn {
			delete(e.listed, key)
			e.counted--
		}
	}
}

func (e *holdingEngine) remove(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tries++
	if e.counted > 0 {
		answerError(http.StatusForbidden, "error while removing network: network "+heldNetwork+" id "+heldID+" has active endpoints")(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// An engine that keeps counting endpoints is asked a few times, and the error says what
// to do.
func TestRemoveNetwork(t *testing.T) {
	const (
		refused = "remove network: Error response from daemon: error while removing network: network " + heldNetwork + " id " + heldID + " has active endpoints: "
		client0 = "snatlab-run-client-0"
		command = "docker network disconnect -f 5f0b2c6d7e8f "
	)
	abandoned := `on it is endpoint "` + client0 + `" (id 0123456789ab), which no container uses: run ` + "`" + command + client0 + "` (if that does not help, restart the engine), then `snatlab cleanup`"
	for _, test := range []struct {
		name         string
		engine       *holdingEngine
		disconnected []string
		err          string
		harmless     bool
	}{
		{"nothing on it", &holdingEngine{}, nil, "", true},
		{"an endpoint without a container", &holdingEngine{listed: map[string]string{"ep-0123": client0}, counted: 1},
			[]string{client0 + " force=true"}, "", true},
		{"an endpoint of a container that is gone", &holdingEngine{listed: map[string]string{"gone": client0}, counted: 1},
			[]string{client0 + " force=true"}, "", true},
		{"a container of the run", &holdingEngine{listed: map[string]string{"ours": client0}, counted: 1},
			[]string{client0 + " force=true"}, "", true},
		{"an endpoint that the engine keeps", &holdingEngine{listed: map[string]string{"ep-0123": client0}, counted: 1, stubborn: true},
			[]string{client0 + " force=true"}, refused + abandoned, true},
		{"an endpoint that is counted and not listed", &holdingEngine{counted: 1}, nil,
			refused + "the engine counts endpoints on it and lists none: restart the engine, then run `snatlab cleanup`", true},
		{"another program's container", &holdingEngine{listed: map[string]string{"theirs": "web"}, counted: 1}, nil,
			refused + `on it is container "web", which snatlab did not connect: run ` + "`" + command + "web`, then `snatlab cleanup`", false},
		{"a container of the run that stays on it", &holdingEngine{listed: map[string]string{"ours": client0}, counted: 1, stubborn: true},
			[]string{client0 + " force=true"}, refused + abandoned, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := test.engine
			engine.start(t)
			docker, err := connectEngine("")
			if err != nil {
				t.Fatal(err)
			}
			defer docker.Close()
			step := (&Host{docker: docker}).networkStep("run", heldNetwork)
			err = Undoers().UndoAll(t.Context(), []undo.Step{step})
			var left *undo.LeftError
			if err != nil {
				left = err.(*undo.LeftError)
				err = left.Left[0].Err
			}
			if errorText(err) != test.err {
				t.Errorf("error\n %v\nwant\n %s", err, test.err)
			}
			if got := slices.Compact(engine.disconnected); !slices.Equal(got, test.disconnected) {
				t.Errorf("disconnected %q, want %q", got, test.disconnected)
			}
			if engine.tries > removeTries {
				t.Errorf("%d tries", engine.tries)
			}
			if left != nil && AllowNewRun(t.Context(), left.Left) != test.harmless {
				t.Errorf("a new run is allowed: %v", !test.harmless)
			}
		})
	}
}

// byHand matches the command line in an error.
var byHand = regexp.MustCompile("run `(docker [^`]*)`")

// A network with another program's container on it stays, and the error has the command
// that frees it.
func TestRemoveNetworkInUse(t *testing.T) {
	r := realEngine(t)
	b := r.open(1)
	n := r.startNeighbour(b.clientNet.name)
	n.serves()
	err := b.Close(t.Context())
	var left *undo.LeftError
	if !errors.As(err, &left) || len(left.Left) != 1 || left.Left[0].Step.What != "network "+b.clientNet.name {
		t.Fatalf("closing the lab: %v", err)
	}
	n.serves()
	if AllowNewRun(t.Context(), left.Left) {
		t.Error("a new run is allowed beside a network in use")
	}
	command := byHand.FindStringSubmatch(err.Error())
	if command == nil {
		t.Fatalf("no command in %v", err)
	}
	readLines(t, "sh", "-c", command[1])
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
