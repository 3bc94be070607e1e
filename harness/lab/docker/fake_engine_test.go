package docker

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeEngine is a Docker engine with the answers of a test, and does nothing.
// DOCKER_HOST names it during the test.
type fakeEngine struct {
	address string // for DOCKER_HOST
	stop    func() // may be called before the test ends
	closeUp func() // accepts no new connection, and serves the present ones
	restart func() // goes away, and is back at the same address
	replace func() // the same, while new connections wait in a socket that an init system holds

	mu       sync.Mutex
	requests []string // "POST /images/load"
}

// startEngine starts a fake engine. Answers are keyed by method and path, without the
// version. Other requests are answered as every engine does, or with "not found".
func startEngine(t *testing.T, answers map[string]http.HandlerFunc) *fakeEngine {
	t.Helper()
	// Not t.TempDir: the path of a socket has no more than 107 bytes.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "docker.sock")
	e := &fakeEngine{address: "unix://" + socket}
	version := regexp.MustCompile(`^/v[0-9.]+`)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + version.ReplaceAllString(r.URL.Path, "")
		e.mu.Lock()
		e.requests = append(e.requests, request)
		e.mu.Unlock()
		w.Header().Set("API-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		switch does := answers[request]; {
		case does != nil:
			does(w, r)
		case r.URL.Path == "/_ping":
		case request == "GET /version":
			answerWith(`{"Components":[{"Name":"Engine","Version":"20.10.24"}]}`)(w, r)
		case request == "GET /networks":
			answerWith("[]")(w, r)
		default:
			answerError(http.StatusNotFound, "page not found")(w, r)
		}
	})
	var s *httptest.Server
	listen := func() {
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		s = &httptest.Server{Listener: listener, Config: &http.Server{Handler: answer}}
		s.Start()
	}
	listen()
	e.stop = func() {
		s.CloseClientConnections() // Close would wait for answers that do not end
		s.Close()
	}
	e.closeUp = func() { s.Listener.Close() }
	e.restart = func() {
		e.stop()
		listen()
	}
	var replaced sync.WaitGroup
	e.replace = func() {
		held := s.Listener.(*net.UnixListener)
		if err := held.SetDeadline(time.Unix(1, 0)); err != nil { // accepts none any more
			t.Fatal(err)
		}
		replaced.Go(func() {
			time.Sleep(300 * time.Millisecond) // it still serves the connections that it has
			s.CloseClientConnections()
			_ = held.SetDeadline(time.Time{})
		})
	}
	t.Cleanup(func() {
		replaced.Wait()
		e.stop()
	})
	t.Setenv("DOCKER_HOST", e.address)
	return e
}

// anonymous replaces the address of the engine in a text by ADDRESS.
func (e *fakeEngine) anonymous(text string) string {
	return strings.ReplaceAll(text, e.address, "ADDRESS")
}

// changed returns the requests that would have changed something.
func (e *fakeEngine) changed() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(e.requests), func(r string) bool { return r[:3] == "GET" || r[:4] == "HEAD" })
}

// answerForever starts an answer that does not end by itself, like the one to GET
// /events.
func answerForever(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// answerWith answers with a text.
func answerWith(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// answerError answers with an error, as engines word it.
func answerError(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
}
