package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
)

// keeper is a proxy of a real engine that does not remove networks. Docker 20.10
// behaves like that when it has lost count of their endpoints.
type keeper struct {
	mu    sync.Mutex
	kept  []string // the ids of networks that it should have removed
	all   bool     // keep every network; else those that were kept before
	never bool     // keep none
}

// standInFront makes the commands in the namespaces connect to the keeper instead of
// the engine.
func (k *keeper) standInFront(t *testing.T, e *engine) {
	t.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", e.path("socket")) }
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	pass.Transport = &http.Transport{DialContext: dial}
	pass.FlushInterval = -1 // events and attached streams are passed on at once
	listener, err := net.Listen("unix", e.path("front"))
	must(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := path.Base(r.URL.Path); r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/networks/") && k.keeps(id) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{
				"message": fmt.Sprintf("error while removing network: network N id %s has active endpoints", id)})
			return
		}
		pass.ServeHTTP(w, r)
	})}
	go s.Serve(listener)
	t.Cleanup(func() { s.Close() })
	e.front = "unix://" + e.path("front")
}

func (k *keeper) keeps(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all && !slices.Contains(k.kept, id) {
		k.kept = append(k.kept, id)
	}
	return !k.never && slices.Contains(k.kept, id)
}

func (k *keeper) set(all, never bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all, k.never = all, never
}

// A network that the engine does not remove does not make every later run fail.
func TestLeftNetwork(t *testing.T) {
	e := ownEngine(t)
	e.unchanged(t)
	k := &keeper{all: true}
	k.standInFront(t, e)
	const small = "name: small\nrounds: 1\nuntil: {rounds_max: 1}\nload: {requests: 50}\narms: [{name: masquerade}]\n"
	const advice = "the engine counts endpoints on it and lists none: restart the engine, then run `snatlab cleanup`"

	first := e.start(t, "run", scenarioFile(t, small))
	if code := first.wait(t); code != exitLeft {
		t.Errorf("exit code %d of the first run\n%s", code, first.said(t))
	}
	if said := first.said(t); strings.Count(said, "has active endpoints: "+advice) != 2 || !strings.Contains(said, "2 changes to this host could not be undone") {
		t.Errorf("the first run printed\n%s", said)
	}

	k.set(false, false)
	left := e.state(t)
	second := e.start(t, "run", scenarioFile(t, small))
	if code := second.wait(t); code != exitPass && code != exitInconclusive {
		t.Errorf("exit code %d of the next run\n%s", code, second.said(t))
	}
	if said := second.said(t); strings.Count(said, " is left, and this run continues beside it: "+advice+"\n") != 2 {
		t.Errorf("the next run printed\n%s", said)
	}
	e.same(t, left)

	cleanup := e.start(t, "cleanup")
	if code := cleanup.wait(t); code != exitLeft || strings.Count(cleanup.said(t), advice) != 2 {
		t.Errorf("exit code %d of cleanup, which printed\n%s", code, cleanup.said(t))
	}
	e.same(t, left)

	k.set(false, true)
	if said := e.cleanup(t); strings.Count(said, "undoing: network snatlab-") != 2 {
		t.Errorf("cleanup, when the engine removes them: %s", said)
	}
}

// No trace of many clients is left. Docker 20.10 loses count of endpoints if
// many containers end at once on a busy machine.
func TestManyClientsCleanup(t *testing.T) {
	needSuite(t, crashSuite)
	labtest.TakeMachine(t)
	for range 2 {
		busy := exec.Command("sh", "-c", "while :; do :; done")
		busy.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
		must(t, busy.Start())
		t.Cleanup(func() {
			busy.Process.Kill()
			busy.Wait()
		})
	}
	for _, clients := range []int{32, 64} {
		t.Run(fmt.Sprintf("%d clients", clients), func(t *testing.T) {
			e := startOwnEngine(t, "{}")
			many := fmt.Sprintf("name: many\nclients: %d\nrounds: 1\nload: {pattern: ephemeral, requests: 20, rate: 20}\narms: [{name: masquerade}]\n", clients)
			before := e.state(t)
			for range 5 {
				p := e.start(t, "run", scenarioFile(t, many))
				if code := p.waitExit(t, 8*time.Minute); code != exitPass && code != exitInconclusive {
					t.Errorf("exit code %d\n%s", code, p.said(t))
				}
				e.same(t, before)
			}
		})
	}
}
