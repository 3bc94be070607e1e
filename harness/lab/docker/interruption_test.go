package docker

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/scenario/network"
	"snatlab/harness/undo"
)

// An engine carries out a request even if the client has hung up meanwhile.

// slowEngine is a fake engine that is slow to make objects. It calls asked while it
// makes one.
type slowEngine struct {
	asked func()

	mu   sync.Mutex
	made []string
	busy sync.WaitGroup
}

func (e *slowEngine) create(name func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e.busy.Add(1)
		defer e.busy.Done()
		object := name(r)
		e.asked()
		time.Sleep(200 * time.Millisecond) // longer than an undo that does not wait for the answer
		e.mu.Lock()
		e.made = append(e.made, object)
		e.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		answerWith(`{"Id":"`+object+`"}`)(w, r)
	}
}

func (e *slowEngine) remove(object string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.made = slices.DeleteFunc(e.made, func(o string) bool { return o == object })
		w.WriteHeader(http.StatusNoContent)
	}
}

// ifMade answers with the text if the object was made.
func (e *slowEngine) ifMade(object, text string, or http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		made := slices.Contains(e.made, object)
		e.mu.Unlock()
		if made {
			or = answerWith(text)
		}
		or(w, r)
	}
}

// An object that the engine makes after an interruption is undone.
func TestUndoAfterInterruption(t *testing.T) {
	const net, client = "snatlab-run-clients", "snatlab-run-client-0"
	for name, change := range map[string]func(context.Context, *dockerLab) error{
		"a network": func(ctx context.Context, l *dockerLab) error {
			_, err := l.makeNetwork(ctx, "clients", network.LabsIPv4)
			return err
		},
		"a container": func(ctx context.Context, l *dockerLab) error {
			_, err := l.createContainer(ctx, containerSpec{name: "client-0", role: probe.RoleClient})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			slow := &slowEngine{asked: interrupt}
			startEngine(t, map[string]http.HandlerFunc{
				"POST /networks/create": slow.create(func(r *http.Request) string {
					var asked struct{ Name string }
					_ = json.NewDecoder(r.Body).Decode(&asked) // else the names differ
					return asked.Name
				}),
				"GET /networks":                slow.ifMade(net, `[{"Name":"`+net+`","Id":"`+net+`","Labels":{"snatlab.run":"run"}}]`, answerWith("[]")),
				"DELETE /networks/" + net:      slow.remove(net),
				"POST /containers/create":      slow.create(func(r *http.Request) string { return r.URL.Query().Get("name") }),
				"DELETE /containers/" + client: slow.remove(client),
				"GET /containers/" + client + "/json": slow.ifMade(client, `{"Id":"`+client+`","Config":{"Labels":{"snatlab.run":"run"}}}`,
					answerError(http.StatusNotFound, "no such container")),
			})
			engine, err := connectEngine("")
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			journal, err := undo.CreateJournal(t.TempDir(), "run", Undoers())
			if err != nil {
				t.Fatal(err)
			}
			l := newDockerLab(&Host{docker: engine}, Config{Run: "run", Journal: journal})
			err = change(ctx, l) // an error or none: only the leftovers count
			if closed := journal.Close(t.Context()); closed != nil {
				t.Error(closed)
			}
			slow.busy.Wait()
			if len(slow.made) > 0 {
				t.Errorf("%s is left (%v)", strings.Join(slow.made, ", "), err)
			}
		})
	}
}
