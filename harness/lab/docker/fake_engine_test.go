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
	"sync"
	"testing"
)

// fakeEngine is a Docker engine that answers what a test says, and does
// nothing. It is the one that DOCKER_HOST names during the test.
type fakeEngine struct {
	address string // for DOCKER_HOST
	stop    func() // may be called before the test ends

	mu       sync.Mutex
	requests []string // "POST /build"
}

// startEngine starts one. Answers are keyed by method and path, without the
// version; what stands in none of them is not found, but for what every engine
// answers.
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
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + version.ReplaceAllString(r.URL.Path, "")
		e.mu.Lock()
		e.requests = append(e.requests, request)
		e.mu.Unlock()
		w.Header().Set("API-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		switch answer := answers[request]; {
		case answer != nil:
			answer(w, r)
		case r.URL.Path == "/_ping":
		case request == "GET /networks":
			say("[]")(w, r)
		default:
			refuse(http.StatusNotFound, "page not found")(w, r)
		}
	}))
	s.Listener.Close()
	if s.Listener, err = net.Listen("unix", socket); err != nil {
		t.Fatal(err)
	}
	s.Start()
	e.stop = s.Close
	t.Cleanup(s.Close)
	t.Setenv("DOCKER_HOST", e.address)
	return e
}

// changed lists the requests that would have changed something.
func (e *fakeEngine) changed() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(e.requests), func(r string) bool { return r[:3] == "GET" || r[:4] == "HEAD" })
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

// refuse answers with an error, as engines word it.
func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
}
