package docker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// makeShared makes a network of another program, which is removed when the test ends.
func (r *rig) makeShared(name string, o dockernet.CreateOptions) string {
	r.t.Helper()
	o.Driver = "bridge"
	made, err := r.docker.NetworkCreate(r.t.Context(), name, o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := r.docker.NetworkRemove(context.Background(), made.ID); err != nil {
			r.t.Error(err)
		}
	})
	return name
}

// neighbour is another program's container, with a service that is used.
type neighbour struct {
	*rig
	id, network string
	address     netip.Addr
}

func (r *rig) startNeighbour(network string) *neighbour {
	r.t.Helper()
	l := newDockerLab(r.Host, Config{Binary: probeBinary(r.t)})
	if err := l.loadImage(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	made, err := r.docker.ContainerCreate(r.t.Context(),
		&container.Config{Image: l.image, Entrypoint: []string{"/snatlab", "serve", "--listen", "0.0.0.0:9000"}},
		&container.HostConfig{NetworkMode: container.NetworkMode(network)}, nil, nil, "")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := r.docker.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true}); err != nil {
			r.t.Error(err)
		}
	})
	if err := r.docker.ContainerStart(r.t.Context(), made.ID, container.StartOptions{}); err != nil {
		r.t.Fatal(err)
	}
	n := &neighbour{rig: r, id: made.ID, network: network}
	n.address = netip.MustParseAddr(n.look().NetworkSettings.Networks[network].IPAddress)
	return n
}

func (n *neighbour) look() container.InspectResponse {
	n.t.Helper()
	info, err := n.docker.ContainerInspect(n.t.Context(), n.id)
	if err != nil {
		n.t.Fatal(err)
	}
	return info
}

// serves checks that the neighbour is reached.
func (n *neighbour) serves() {
	n.t.Helper()
	var err error
	for range 50 { // it has only just started
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp4", netip.AddrPortFrom(n.address, 9000).String(), time.Second); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	n.t.Error(err)
}

// openOn opens a lab whose clients are on an existing network.
func (r *rig) openOn(network string, clients int) *bench {
	r.t.Helper()
	config, b := r.plan(clients)
	config.Network = network
	l, err := Open(r.t.Context(), r.Host, config)
	if err != nil {
		r.t.Fatal(err)
	}
	b.dockerLab = l.(*dockerLab)
	return b
}

// A lab on a shared network changes nothing for the network's other containers.
func TestSharedNetwork(t *testing.T) {
	named := map[string]string{"com.docker.network.bridge.name": "shop0"}
	subnet := &dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: "198.19.250.0/24"}}}
	for name, network := range map[string]func(*rig) (name, bridge string){
		"the default bridge": func(*rig) (string, string) { return "bridge", "docker0" },
		"one with a bridge that Docker named": func(r *rig) (string, string) {
			name := r.makeShared("test_shop.default", dockernet.CreateOptions{IPAM: subnet})
			info, err := r.docker.NetworkInspect(r.t.Context(), name, dockernet.InspectOptions{})
			if err != nil {
				r.t.Fatal(err)
			}
			return name, "br-" + info.ID[:12]
		},
		"one with a bridge of a given name": func(r *rig) (string, string) {
			return r.makeShared("test-shop", dockernet.CreateOptions{IPAM: subnet, Options: named}), "shop0"
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := realEngine(t)
			name, bridge := network(r)
			checkSharedNetwork(t, r, name, bridge)
		})
	}
}

// checkSharedNetwork opens a lab on a network and checks that nothing changes for the
// other containers on it.
func checkSharedNetwork(t *testing.T, r *rig, name, bridge string) {
	n := r.startNeighbour(name)
	n.serves()
	before, was := r.state(), n.look()
	b := r.openOn(name, 2)
	env := b.Environment()
	if env.SharedNetwork != name || !strings.Contains(b.Rule.Text, " ! -o "+bridge+" -j MASQUERADE") {
		t.Errorf("network %q, rule %s", env.SharedNetwork, b.Rule.Text)
	}
	prefix := netip.MustParsePrefix(env.ClientNetwork)
	if at := b.addressesIn(prefix); len(at) != 2 || !prefix.Contains(n.address) {
		t.Errorf("clients at %v, the neighbour at %v, all in %v?", at, n.address, prefix)
	}

	listing := func() []string { return readLines(t, b.Rule.IPTables().Path, "-t", "nat", "-S") }
	rules := listing()
	rule, err := b.Apply(t.Context(), scenario.Arm{Masquerade: scenario.MasqueradeOptions{RandomFully: true}})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(rules)
	want[slices.Index(want, b.Rule.Text)] = b.marked(b.Rule.Text + " --random-fully")
	if diff := cmp.Diff(want, listing()); diff != "" {
		t.Errorf("more than the one rule has changed (-want +got):\n%s", diff)
	}
	sendRequests(t, b)
	if packets, err := rule.Packets(t.Context()); packets < 2 || err != nil {
		t.Errorf("%d connections passed the rule, %v", packets, err)
	}
	n.serves()
	if err := rule.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rules, listing()); diff != "" {
		t.Errorf("the rules are not as they were (-before +after):\n%s", diff)
	}
	sendRequests(t, b)

	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.state()); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
	n.serves()
	if is := n.look(); is.State.StartedAt != was.State.StartedAt || is.RestartCount != 0 ||
		cmp.Diff(was.NetworkSettings.Networks, is.NetworkSettings.Networks) != "" {
		t.Errorf("the neighbour was\n%+v %+v\nand is\n%+v %+v", was.State, was.NetworkSettings, is.State, is.NetworkSettings)
	}
}

// marked returns a rule of the lab as iptables lists it: with the run in a comment.
func (b *bench) marked(rule string) string {
	return strings.Replace(rule, " -j ", " -m comment --comment snatlab-"+b.config.Run+" -j ", 1)
}

// sendRequests sends one request from each client.
func sendRequests(t *testing.T, b *bench) {
	t.Helper()
	at, err := b.Listen(t.Context(), b.trials, false)
	if err != nil {
		t.Fatal(err)
	}
	server := at.Arm
	b.trials++
	var ports [][]scenario.PortRange
	for _, c := range b.Clients() {
		report, err := c.Run(t.Context(), probe.ClientLoad{Server: server, Requests: 1, Timeout: 900 * time.Millisecond, Concurrency: 1})
		if err != nil || report.Succeeded != 1 {
			t.Errorf("%s: %+v, %v", c.Name, report, err)
		}
		ports = append(ports, report.Ports)
	}
	if _, err := b.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	if err := b.Forget(t.Context(), server, ports); err != nil {
		t.Error(err)
	}
}

// The rule of a shared network is restored after the process died.
func TestSharedNetworkCrash(t *testing.T) {
	for name, undoIt := range map[string]func(*testing.T, *undo.Journal){
		"by the journal": func(t *testing.T, j *undo.Journal) {
			if err := j.Close(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"by hand": func(t *testing.T, j *undo.Journal) {
			for _, s := range j.Steps() {
				readLines(t, "sh", "-c", s.Manual)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := realEngine(t)
			n := r.startNeighbour("bridge")
			before := r.state()
			b := r.openOn("bridge", 1)
			if err := b.InsertControl(t.Context(), scenario.PortRange{First: 50000, Last: 60999}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Apply(t.Context(), scenario.Arm{Masquerade: scenario.MasqueradeOptions{RandomFully: true}}); err != nil {
				t.Fatal(err)
			}
			journal, err := undo.OpenJournal(b.path, undoers())
			if err != nil {
				t.Fatal(err)
			}
			if got := len(journal.Steps()); got != 1+2+2+1+1 { // the server's network, rules, containers, the control, the arm
				t.Errorf("the journal has %d steps", got)
			}
			undoIt(t, journal)
			after := r.state()
			// By hand, the rule is inserted before the others.
			slices.Sort(before["iptables-save"])
			slices.Sort(after["iptables-save"])
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
			}
			n.serves()
		})
	}
}

// A network that cannot be shared is reported and left alone.
func TestSharedNetworkRefused(t *testing.T) {
	r := realEngine(t)
	subnet := func(n int) *dockernet.IPAM {
		return &dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: fmt.Sprintf("198.19.%d.0/24", n)}}}
	}
	r.makeShared("test-inner", dockernet.CreateOptions{IPAM: subnet(251), Internal: true})
	r.makeShared("test-routed", dockernet.CreateOptions{IPAM: subnet(252), Options: map[string]string{ipMasquerade: "false"}})
	before := r.state()
	const required = "; a bridge network that masquerades is required"
	for name, want := range map[string]string{
		"host":        "network host: its driver is host" + required,
		"none":        "network none: its driver is null" + required,
		"test-inner":  "network test-inner: it is internal, so nothing leaves it" + required,
		"test-routed": "network test-routed: it does not masquerade (com.docker.network.bridge.enable_ip_masquerade is false)" + required,
		"test-nobody": "find network test-nobody: Error response from daemon: network test-nobody not found (see `docker network ls`)",
	} {
		config, _ := r.plan(1)
		config.Network = name
		if l, err := Open(t.Context(), r.Host, config); err == nil || err.Error() != want {
			t.Errorf("%v\ngot  %v\nwant %s", l, err, want)
		}
		if diff := cmp.Diff(before, r.state()); diff != "" {
			t.Errorf("%s: the machine has changed (-before +after):\n%s", name, diff)
		}
	}
}

// Only networks that masquerade are accepted.
func TestReadBridge(t *testing.T) {
	t.Parallel()
	bridge := func(change func(*dockernet.Inspect)) dockernet.Inspect {
		n := dockernet.Inspect{Name: "n", ID: "0123456789abcdef", Driver: "bridge", Options: map[string]string{},
			IPAM: dockernet.IPAM{Config: []dockernet.IPAMConfig{{Subnet: "2001:db8::/64"}, {Subnet: "192.0.2.5/24"}}}}
		change(&n)
		return n
	}
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	for _, test := range []struct {
		change func(*dockernet.Inspect)
		want   labNetwork
		err    string
	}{
		{func(*dockernet.Inspect) {}, labNetwork{"n", "br-0123456789ab", prefix}, ""},
		{func(n *dockernet.Inspect) { n.Options[bridgeName] = "b" }, labNetwork{"n", "b", prefix}, ""},
		{func(n *dockernet.Inspect) { n.Options[ipMasquerade] = "true" }, labNetwork{"n", "br-0123456789ab", prefix}, ""},
		{func(n *dockernet.Inspect) { n.Options[gatewayMode] = "nat" }, labNetwork{"n", "br-0123456789ab", prefix}, ""},
		{func(n *dockernet.Inspect) { n.Options[ipMasquerade] = "0" }, labNetwork{}, "it does not masquerade (" + ipMasquerade + " is false)"},
		{func(n *dockernet.Inspect) { n.Options[gatewayMode] = "routed" }, labNetwork{}, "it does not masquerade (" + gatewayMode + " is routed)"},
		{func(n *dockernet.Inspect) { n.Options[gatewayMode] = "isolated" }, labNetwork{}, "it does not masquerade (" + gatewayMode + " is isolated)"},
		{func(n *dockernet.Inspect) { n.Internal = true }, labNetwork{}, "it is internal, so nothing leaves it"},
		{func(n *dockernet.Inspect) { n.Driver = "overlay" }, labNetwork{}, "its driver is overlay"},
		{func(n *dockernet.Inspect) { n.IPAM.Config = n.IPAM.Config[:1] }, labNetwork{}, "it has no IPv4 subnet"},
	} {
		got, err := readBridge(bridge(test.change))
		switch {
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("got %+v, %v, want %+v", got, err, test.want)
		case test.err != "" && (err == nil || err.Error() != test.err):
			t.Errorf("got %v, want %s", err, test.err)
		}
	}
}
