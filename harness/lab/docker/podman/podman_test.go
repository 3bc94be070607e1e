package podman

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"
)

// startEngine starts an engine that answers one request, and returns a client of it and the
// requests that it got: "GET /v4.0.0/libpod/info" and the body.
func startEngine(t *testing.T, status int, answer string) (*client.Client, *[]string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "podman") // not t.TempDir: the path of a socket has no more than 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path, string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	c, err := client.NewClientWithOpts(client.WithHost("unix://" + socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, &got
}

func TestVersion(t *testing.T) {
	t.Parallel()
	docker := types.Version{Components: []types.ComponentVersion{{Name: "Engine", Version: "28.5.2"}, {Name: "containerd", Version: "1.7"}}}
	podman := types.Version{Components: []types.ComponentVersion{{Name: "Podman Engine", Version: "5.4.2"}, {Name: "Conmon", Version: "conmon version 2.1.12"}}}
	if got := Version(docker); got != "" {
		t.Errorf("Docker is Podman %q", got)
	}
	if got := Version(podman); got != "5.4.2" {
		t.Errorf("version %q", got)
	}
}

func TestBackend(t *testing.T) {
	t.Parallel()
	engine, got := startEngine(t, http.StatusOK, `{"host":{"arch":"amd64","networkBackend":"netavark"},"version":{"APIVersion":"5.4.2"}}`)
	if b, err := Backend(t.Context(), engine); b != Netavark || err != nil {
		t.Errorf("backend %q, %v", b, err)
	}
	if (*got)[0] != "GET /v4.0.0/libpod/info" {
		t.Errorf("asked %q", *got)
	}
}

// A network is made with the name of its interface, and without isolation.
func TestCreate(t *testing.T) {
	t.Parallel()
	engine, got := startEngine(t, http.StatusOK, `{"name":"n"}`)
	err := Create(t.Context(), engine, "n", "snat-0a1b2c-c", netip.MustParsePrefix("198.18.0.0/24"), map[string]string{"snatlab.run": "r"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"n","driver":"bridge","network_interface":"snat-0a1b2c-c","subnets":[{"subnet":"198.18.0.0/24"}],"internal":false,"ipv6_enabled":false,` +
		`"dns_enabled":false,"labels":{"snatlab.run":"r"},"options":{"isolate":"false"}}` + "\n"
	if (*got)[0] != "POST /v4.0.0/libpod/networks/create" || (*got)[1] != want {
		t.Errorf("sent %q\nwant %s", *got, want)
	}
}

// The engine's own words are the error.
func TestErrors(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"cause":"network already exists","message":"network name n already used: network already exists","response":409}`: "network name n already used: network already exists",
		`404 page not found`: "the answer of Podman is 409 Conflict",
		`{}`:                 "the answer of Podman is 409 Conflict",
	} {
		engine, _ := startEngine(t, http.StatusConflict, answer)
		_, err := Inspect(t.Context(), engine, "n")
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Networks as Podman 4.3.1 and 5.4.2 describe them, and others.
func TestMasquerades(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ answer, want string }{
		"of the lab": {`{"name":"n","id":"1837c8d7","driver":"bridge","network_interface":"snat-t1","subnets":[{"subnet":"198.18.7.0/24","gateway":"198.18.7.1"}],"ipv6_enabled":false,
			"internal":false,"dns_enabled":false,"labels":{"snatlab.run":"x"},"options":{"isolate":"false"},"ipam_options":{"driver":"host-local"}}`, "198.18.7.0/24"},
		"two families": {`{"driver":"bridge","subnets":[{"subnet":"fd00:1::/64"},{"subnet":"10.89.0.0/24"}]}`, "10.89.0.0/24"},
		"only IPv6":    {`{"driver":"bridge","subnets":[{"subnet":"fd00:1::/64"}]}`, "it has no IPv4 subnet"},
		"macvlan":      {`{"driver":"macvlan","subnets":[{"subnet":"10.89.0.0/24"}]}`, "its driver is macvlan"},
		"internal":     {`{"driver":"bridge","internal":true,"subnets":[{"subnet":"10.89.0.0/24"}]}`, "it is internal, so nothing leaves it"},
		"unmanaged":    {`{"driver":"bridge","options":{"mode":"unmanaged"},"subnets":[{"subnet":"10.89.0.0/24"}]}`, "no rules are written for it (its mode is unmanaged)"},
	} {
		engine, got := startEngine(t, http.StatusOK, c.answer)
		n, err := Inspect(t.Context(), engine, "shop/1")
		if err != nil {
			t.Fatal(err)
		}
		subnet, err := n.Masquerades()
		if text := subnet.String(); err == nil && text != c.want || err != nil && err.Error() != c.want {
			t.Errorf("%s: %s, %v; want %s", name, text, err, c.want)
		}
		if (*got)[0] != "GET /v4.0.0/libpod/networks/shop/1/json" {
			t.Errorf("asked %q", *got)
		}
	}
}

// Without an engine the system's error is kept: it says whether Podman runs.
func TestNoEngine(t *testing.T) {
	t.Parallel()
	c, err := client.NewClientWithOpts(client.WithHost("unix:///nonexistent/podman.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), c, "n"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
