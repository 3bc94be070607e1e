package docker

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/machine"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// podmanHost names the Podman of the tests, such as unix:///run/podman/podman.sock. Its rules
// must be in the network namespace of the tests.
const podmanHost = "SNATLAB_PODMAN_HOST"

// podmanEngine reserves the machine for a test on Podman. Podman has been used before the
// state of the machine is read: the chains that it makes with its first network stay.
func podmanEngine(t *testing.T) *rig {
	t.Helper()
	if os.Getenv(podmanHost) == "" {
		t.Skip(podmanHost + " names no Podman")
	}
	nattest.RequireNFT(t)
	t.Setenv(client.EnvOverrideHost, os.Getenv(podmanHost))
	reserveMachine(t)
	host, _ := Preflight(t.Context(), probeBinary(t), result.IPv4, 0)
	defer host.Close()
	if !host.isPodman() {
		t.Fatalf("%s is %q, which is no Podman", podmanHost, os.Getenv(podmanHost))
	}
	config, _ := (&rig{host, t}).plan(1)
	l, err := Open(t.Context(), host, config)
	must(t, err)
	must(t, l.Close(t.Context()))
	return openEngine(t)
}

// Containers start and end on Podman while an arm is in force, on the lab's network and on
// another one. The arm stays in force, and after the run nothing is left.
func TestContainersOnPodman(t *testing.T) {
	r := podmanEngine(t)
	b := r.open(2)
	rule, err := b.Apply(t.Context(), scenario.Arm{Masquerade: scenario.MasqueradeOptions{RandomFully: true}})
	must(t, err)
	for _, network := range []string{b.clientNet.name, "podman"} {
		for range 2 {
			made, err := r.docker.ContainerCreate(t.Context(), &container.Config{Image: b.image, Entrypoint: []string{"/snatlab", "serve", "--listen", "0.0.0.0:9000"}},
				&container.HostConfig{NetworkMode: container.NetworkMode(network)}, nil, nil, "")
			must(t, err)
			must(t, r.docker.ContainerStart(t.Context(), made.ID, container.StartOptions{}))
			must(t, r.docker.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{Force: true}))
		}
	}
	before, err := rule.Packets(t.Context())
	must(t, err)
	sendRequests(t, b)
	if after, err := rule.Packets(t.Context()); err != nil || after == before {
		t.Errorf("%q matched %d packets, and %d before (%v)", rule.Rule(), after, before, err)
	}
	must(t, rule.Undo(t.Context()))
	must(t, b.Close(t.Context()))
	for _, line := range readLines(t, "nft", "list", "ruleset") {
		if strings.Contains(line, "snatlab") || strings.Contains(line, b.clientNet.subnet.String()) {
			t.Errorf("left: %s", line)
		}
	}
}

// podmanVersion is the answer of Podman 5.4.2 to GET /version, shortened.
const podmanVersion = `{"Platform":{"Name":"linux/amd64/debian-13"},"Components":[{"Name":"Podman Engine","Version":"5.4.2","Details":{"APIVersion":"5.4.2",
	"MinAPIVersion":"4.0.0","Os":"linux"}},{"Name":"Conmon","Version":"conmon version 2.1.12, commit: unknown"}],"Version":"5.4.2","ApiVersion":"1.41"}`

// answerPodman returns the answers of a Podman with a network backend.
func answerPodman(backend string) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /info":        answerWith(`{"ServerVersion":"5.4.2","SecurityOptions":["name=seccomp,profile=default"]}`),
		"GET /version":     answerWith(podmanVersion),
		"GET /libpod/info": answerWith(`{"host":{"networkBackend":"` + backend + `"}}`),
	}
}

// Podman is recognised, and only its network backend netavark can be used.
func TestCheckPodman(t *testing.T) {
	netavark, cni, broken := answerPodman("netavark"), answerPodman("cni"), answerPodman("")
	broken["GET /libpod/info"] = answerError(http.StatusInternalServerError, "disk full")
	for _, test := range []struct {
		name    string
		answers map[string]http.HandlerFunc
		want    machine.Precondition
	}{
		{"the engine", netavark, machine.Precondition{Name: dockerEngine, Found: "Podman 5.4.2 at ADDRESS"}},
		{"netavark", netavark, machine.Precondition{Name: firewallBackend, Found: "netavark"}},
		{"its rules", netavark, machine.Precondition{Name: firewall.NFTables, Found: "the rules that translate can be listed"}},
		{"CNI", cni, machine.Precondition{Name: firewallBackend, State: machine.Unmet, Found: "cni",
			Remedy: `of Podman's network backends only netavark is supported; set network_backend = "netavark" in containers.conf`}},
		{"an error", broken, machine.Precondition{Name: dockerEngine, State: machine.Unmet, Found: "ask Podman for its network backend: disk full",
			Remedy: "it answers with an error: see its log (journalctl -u docker)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startEngine(t, test.answers)
			if got := findPrecondition(t, test.want.Name, e.address); got != test.want {
				t.Errorf("found %+v\n want %+v", got, test.want)
			}
			if c := e.changed(); len(c) > 0 {
				t.Errorf("looking changed something: %v", c)
			}
		})
	}
}

// The commands by which a user removes what a run left are those of the engine.
func TestStepsOnPodman(t *testing.T) {
	startEngine(t, answerPodman("netavark"))
	docker, err := connectEngine("")
	must(t, err)
	defer docker.Close()
	h := &Host{docker: docker}
	must(t, h.recognise(t.Context()))
	if got := h.containerStep("r", "snatlab-r-server").Manual; got != "podman rm -f snatlab-r-server" {
		t.Error(got)
	}
	if got := h.networkStep("r", "snatlab-r-clients").Manual; got != "podman network rm snatlab-r-clients" {
		t.Error(got)
	}
}
