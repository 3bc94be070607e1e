package docker

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/machine"
	"snatlab/harness/result"
)

// answerInfo returns an engine's answer to GET /info.
func answerInfo(fields string) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"GET /info": answerWith(`{"ServerVersion":"29.0.0",` + fields + `}`)}
}

// findPrecondition returns the precondition of a name, with ADDRESS in place of the
// engine's address.
func findPrecondition(t *testing.T, name, address string) machine.Precondition {
	t.Helper()
	h, all := Preflight(t.Context(), "", result.IPv4, 0)
	t.Cleanup(func() { h.Close() })
	for _, p := range all {
		if p.Name == name {
			p.Found = strings.ReplaceAll(p.Found, address, "ADDRESS")
			return p
		}
	}
	t.Fatalf("there is no precondition %s: %+v", name, all)
	return machine.Precondition{}
}

// An engine that cannot be used is reported with the remedy, and nothing is changed.
func TestCheckEngine(t *testing.T) {
	const wrong = "it answers with an error: see its log (journalctl -u docker)"
	for _, test := range []struct {
		name    string
		answers map[string]http.HandlerFunc
		want    machine.Precondition
	}{
		{
			"a good engine", answerInfo(`"SecurityOptions":["name=seccomp,profile=builtin"]`),
			machine.Precondition{State: machine.Met, Found: "29.0.0 at ADDRESS"},
		}, {
			"a rootless one", answerInfo(`"SecurityOptions":["name=seccomp,profile=builtin","name=rootless","name=cgroupns"]`),
			machine.Precondition{State: machine.Unmet, Found: "the engine at ADDRESS is rootless: its NAT is in a network namespace of its own", Remedy: "use the system's engine"},
		}, {
			"a broken one", map[string]http.HandlerFunc{"GET /info": answerError(http.StatusInternalServerError, "disk full")},
			machine.Precondition{State: machine.Unmet, Found: "connect to Docker at ADDRESS: Error response from daemon: disk full", Remedy: wrong},
		}, {
			"another protocol", map[string]http.HandlerFunc{"GET /info": answerWith("hello")},
			machine.Precondition{State: machine.Unmet, Found: "connect to Docker at ADDRESS: Error reading remote info: invalid character 'h' looking for beginning of value", Remedy: wrong},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startEngine(t, test.answers)
			test.want.Name = dockerEngine
			if got := findPrecondition(t, dockerEngine, e.address); got != test.want {
				t.Errorf("found %+v\n want %+v", got, test.want)
			}
			if c := e.changed(); len(c) > 0 {
				t.Errorf("looking changed something: %v", c)
			}
		})
	}
}

// An engine that does not answer is reported with its address.
func TestCheckEngineSilent(t *testing.T) {
	silent, err := net.Listen("tcp4", "127.0.0.1:0") // only its address is needed
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetUnlinkOnClose(false)
	socket.Close()
	const running = "is the daemon running? is DOCKER_HOST right?"
	const there = "run snatlab on that machine: the rules and the counters are there"
	for _, test := range []struct{ host, found, remedy string }{
		{"unix:///nonexistent", "connect to Docker at unix:///nonexistent: no engine answers", running},
		{"unix://" + dead, "connect to Docker at unix://" + dead + ": no engine answers", running},
		{"tcp://192.0.2.1:2375", "DOCKER_HOST is tcp://192.0.2.1:2375: an engine on another machine", there},
		{"tcp://127.0.0.1:2375", "DOCKER_HOST is tcp://127.0.0.1:2375: an engine on another machine", there},
		{"ssh://root@192.0.2.1", "DOCKER_HOST is ssh://root@192.0.2.1: an engine on another machine", there},
		{"nonsense", "connect to Docker: unable to parse docker host `nonsense`", "see DOCKER_HOST"},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", test.host)
			want := machine.Precondition{Name: dockerEngine, State: machine.Unmet, Found: test.found, Remedy: test.remedy}
			if got := findPrecondition(t, dockerEngine, "ADDRESS"); got != want {
				t.Errorf("found %+v\n want %+v", got, want)
			}
			for _, name := range []string{firewallBackend, firewall.IPTables, labSubnets} {
				want := machine.Precondition{Name: name, State: machine.Unknown, Found: "no engine to look at"}
				if got := findPrecondition(t, name, "ADDRESS"); got != want {
					t.Errorf("found %+v\n want %+v", got, want)
				}
			}
		})
	}
}

// Nothing is sent to an engine on another machine.
func TestCheckEngineRemote(t *testing.T) {
	other, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := "tcp://" + other.Addr().String()
	t.Setenv("DOCKER_HOST", address)
	if got := findPrecondition(t, dockerEngine, address); got.Found != "DOCKER_HOST is ADDRESS: an engine on another machine" {
		t.Errorf("found %+v", got)
	}
	// A connection would be complete by now: connect() returns after that.
	if err := other.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if c, err := other.Accept(); err == nil {
		t.Errorf("%v was connected from %v", other.Addr(), c.RemoteAddr())
	}
}

// An engine that hangs is given up.
func TestCheckEngineHangs(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	e := startEngine(t, map[string]http.HandlerFunc{"GET /info": hang, "HEAD /_ping": hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // answerTime is longer
	defer cancel()
	h := &Host{}
	defer h.Close()
	got := h.checkEngine(ctx)
	if got.State != machine.Unmet || !strings.HasPrefix(got.Found, "connect to Docker at "+e.address+": ") {
		t.Errorf("found %+v", got)
	}
}

// The backends whose rules are known can be used.
func TestCheckBackend(t *testing.T) {
	const remedy = `only the rules of the backends iptables and nftables are known; set "firewall-backend": "iptables" for the daemon`
	for _, test := range []struct {
		name, fields string
		want         machine.Precondition
	}{
		{"another one", `"FirewallBackend":{"Driver":"ebpf"}`, machine.Precondition{State: machine.Unmet, Found: "ebpf", Remedy: remedy}},
		{"nftables", `"FirewallBackend":{"Driver":"nftables"}`, machine.Precondition{Found: "nftables"}},
		{"iptables", `"FirewallBackend":{"Driver":"iptables"}`, machine.Precondition{Found: "iptables"}},
		{"iptables under firewalld", `"FirewallBackend":{"Driver":"iptables+firewalld"}`, machine.Precondition{Found: "iptables+firewalld"}},
		{"an engine before 29, which does not say", `"Name":"old"`, machine.Precondition{Found: "iptables"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := startEngine(t, answerInfo(test.fields))
			test.want.Name = firewallBackend
			if got := findPrecondition(t, firewallBackend, e.address); got != test.want {
				t.Errorf("found %+v\n want %+v", got, test.want)
			}
		})
	}
}

// A pool that is taken is reported with the range that takes it.
func TestCheckSubnetsTaken(t *testing.T) {
	answers := answerInfo(`"Name":"full"`)
	answers["GET /networks"] = answerWith(`[{"Name":"vpn","IPAM":{"Config":[{"Subnet":"198.18.0.0/15"}]}}]`)
	e := startEngine(t, answers)
	want := machine.Precondition{Name: labSubnets, State: machine.Unmet, Remedy: "see `ip route` and `docker network ls`: two must be free for the time of a run",
		Found: "fewer than 2 free /24 networks in 198.18.0.0/15: 198.18.0.0/15 is taken by a route or a Docker network"}
	if got := findPrecondition(t, labSubnets, e.address); got != want {
		t.Errorf("found %+v\n want %+v", got, want)
	}
}

// Subnets of the lab collide with no network of Docker's.
func TestFreeSubnets(t *testing.T) {
	answers := answerInfo(`"Name":"full"`)
	answers["GET /networks"] = answerWith(`[{"Name":"host","IPAM":{"Config":[]}},{"Name":"v6","IPAM":{"Config":[{"Subnet":"2001:2::/48"}]}},
		{"Name":"big","IPAM":{"Config":[{"Subnet":"198.18.0.0/16"}]}},{"Name":"small","IPAM":{"Config":[{"Subnet":"198.19.1.64/28"}]}}]`)
	startEngine(t, answers)
	h, _ := Preflight(t.Context(), "", result.IPv4, 0)
	defer h.Close()
	free, err := h.freeSubnets(t.Context(), 100) // more than this host takes by itself
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range free {
		for _, taken := range []string{"198.18.0.0/16", "198.19.1.64/28"} {
			if f[0].Overlaps(netip.MustParsePrefix(taken)) {
				t.Errorf("%v overlaps %s", f, taken)
			}
		}
	}
}
