package docker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// A lab on a real engine is what it should be.
func TestLab(t *testing.T) {
	const clients = 3
	b := realEngine(t).open(clients)
	for name, claim := range map[string]func(*testing.T, *bench){
		"puts an arm in force and takes it back to the letter":       checkRuleRewritten,
		"has containers that can do nothing but send and answer":     checkConfined,
		"has clients that share memory, and a server that does not":  checkSharedMemory,
		"has the clients on one network and the server on the other": checkSeparateNetworks,
	} {
		t.Run(name, func(t *testing.T) { claim(t, b) })
	}
	if got := len(b.Clients()); got != clients {
		t.Errorf("%d clients, want %d", got, clients)
	}
}

func checkRuleRewritten(t *testing.T, b *bench) {
	listing := func() []string { return readLines(t, b.Rule.IPTables().Path, "-t", "nat", "-S") }
	before := listing()
	for _, m := range []scenario.MasqueradeOptions{{RandomFully: true}, {Random: true}} {
		rule, err := b.Apply(t.Context(), scenario.Arm{Masquerade: m})
		if err != nil {
			t.Fatal(err)
		}
		var changed []string
		for _, line := range listing() {
			if !slices.Contains(before, line) {
				changed = append(changed, line)
			}
		}
		if !slices.Equal(changed, []string{b.marked(rule.Rule())}) || !strings.Contains(rule.Rule(), " --random") {
			t.Errorf("for the rule %q the listing has the new lines %q", rule.Rule(), changed)
		}
		for range 2 { // once more does no harm
			if err := rule.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, listing()); diff != "" {
				t.Errorf("the rules are not as they were (-before +after):\n%s", diff)
			}
		}
	}
}

func checkConfined(t *testing.T, b *bench) {
	containers := b.containers(t)
	if len(containers) != 1+len(b.Clients()) {
		t.Errorf("%d containers carry the label of the run", len(containers))
	}
	for name, c := range containers {
		h := c.HostConfig
		if h.Memory <= 0 || h.PidsLimit == nil || *h.PidsLimit <= 0 {
			t.Errorf("%s may have %d bytes of memory, and %v processes", name, h.Memory, h.PidsLimit)
		}
		if isServer := strings.HasSuffix(name, "-server"); isServer != (h.CPUShares == 64) {
			t.Errorf("%s has the weight %d", name, h.CPUShares)
		}
		if h.Privileged || len(h.Devices)+len(h.Binds)+len(c.Mounts) > 0 {
			t.Errorf("%s is given more than its network: %+v", name, h)
		}
		if len(h.PortBindings)+len(c.NetworkSettings.Ports) > 0 || h.PublishAllPorts {
			t.Errorf("%s publishes %v, %v", name, h.PortBindings, c.NetworkSettings.Ports)
		}
		status := readProc(t, c, "status")
		for _, line := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000",
			"CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534"} {
			if !slices.Contains(status, line) {
				t.Errorf("the process of %s has no %q in its status", name, line)
			}
		}
		for _, line := range readProc(t, c, "mountinfo") {
			if f := strings.Fields(line); f[4] == "/" && !strings.HasPrefix(f[5], "ro") {
				t.Errorf("%s can write to its root: %s", name, line)
			}
		}
	}
}

// Datagrams wait for the server, and handshakes of TCP do not.
func TestServerShares(t *testing.T) {
	for protocol, want := range map[string]int64{"": 64, result.TCP: 64, result.UDP: 0} {
		l := newDockerLab(&Host{}, Config{Protocol: protocol})
		l.Protocol = protocol
		if got := l.serverShares(); got != want {
			t.Errorf("protocol %q: %d", protocol, got)
		}
	}
}

// readProc returns the lines of a file in /proc of a container's first process.
func readProc(t *testing.T, c container.InspectResponse, file string) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.State.Pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func checkSharedMemory(t *testing.T, b *bench) {
	for _, c := range b.Clients() {
		if err := c.Share(t.Context(), b.Barrier()); err != nil {
			t.Error(err)
		}
	}
	var first os.FileInfo
	for name, c := range b.containers(t) {
		file, err := os.Stat(filepath.Join(fmt.Sprintf("/proc/%d/root", c.State.Pid), b.Barrier()))
		if strings.HasSuffix(name, "-server") {
			if err == nil {
				t.Errorf("%s can reach the clients' memory", name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = file
		}
		if !os.SameFile(first, file) {
			t.Errorf("%s has a file of its own", name)
		}
	}
}

func checkSeparateNetworks(t *testing.T, b *bench) {
	env := b.Environment()
	clients, servers := b.addressesIn(b.clientNet.subnet), b.addressesIn(b.serverNet.subnet)
	if len(clients) != len(b.Clients()) || env.ClientNetwork != b.clientNet.subnet.String() {
		t.Errorf("the clients have the addresses %v, out of %v; the environment has %+v", clients, b.clientNet.subnet, env)
	}
	if len(servers) != 1 || env.Server != servers[0].String() {
		t.Errorf("the server has the address %v, out of %v; the environment has %+v", servers, b.serverNet.subnet, env)
	}
	if env.Driver != "docker" || *env.Docker != b.host.info.ServerVersion || env.Kernel == "" || env.CPUs < 1 || env.ConntrackMax == nil {
		t.Errorf("environment %+v", env)
	}
}
