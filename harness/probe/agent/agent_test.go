package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// startAgent runs an agent in this process, and returns the stream to it.
func startAgent(t *testing.T, name string, agent Agent) probe.Stream {
	t.Helper()
	requests, in := io.Pipe()
	out, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := agent.Serve(requests, answers)
		answers.Close()
		done <- err
	}()
	t.Cleanup(func() {
		in.Close()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return probe.Stream{Name: name, In: out, Out: in, Close: func() error { out.Close(); return in.Close() }}
}

func startClient(t *testing.T, name string) *probe.ClientSession {
	t.Helper()
	c, err := probe.OpenClient(t.Context(), startAgent(t, name, Agent{Role: probe.RoleClient}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// localGuests are the clients of these tests.
var localGuests = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}

// loopbacks are the addresses of these tests in each family.
var loopbacks = map[string]netip.Addr{"IPv4": localGuests[0].Addr(), "IPv6": localGuests[1].Addr()}

// startServer returns a server over IPv4 and the address that clients connect to.
func startServer(t *testing.T) (*probe.ServerSession, netip.AddrPort) {
	t.Helper()
	return startServerAt(t, loopbacks["IPv4"])
}

// startServerAt returns a server of the family of an address, which it listens on among
// others.
func startServerAt(t *testing.T, at netip.Addr) (*probe.ServerSession, netip.AddrPort) {
	t.Helper()
	s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Guests: localGuests}))
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: port, IPv6: at.Is6()}); err != nil {
		t.Fatal(err)
	}
	return s, netip.AddrPortFrom(at, port)
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// A file that is not a barrier is refused and not changed.
func TestShareForeignFile(t *testing.T) {
	t.Parallel()
	client := startClient(t, "client 0")
	path := filepath.Join(t.TempDir(), "diary")
	if err := os.WriteFile(path, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "client 0: size barrier: " + path + " is not a barrier: -rw------- of size 10"
	if err := client.Share(t.Context(), path); fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "dear diary" {
		t.Errorf("it now holds %q (%v)", text, err)
	}
	for range 2 { // made, and found
		if err := client.Share(t.Context(), filepath.Join(filepath.Dir(path), "barrier")); err != nil {
			t.Error(err)
		}
	}
}

const greeting = `{"v":7,"greet":{}}` + "\n"

// A server refuses the orders of clients, ports that are not its own, and messages that
// are not orders.
func TestServerRefusesOrders(t *testing.T) {
	t.Parallel()
	run, err := json.Marshal(probe.Message{V: probe.Version, Run: &probe.ClientLoad{Requests: 1 << 40, Timeout: -1}})
	if err != nil {
		t.Fatal(err)
	}
	const known = "a server cannot answer this request"
	for _, test := range []struct{ order, want string }{
		{string(run), known},
		{`{"v":7,"share":{"barrier":"/etc/passwd"}}`, known},
		{`{"v":7,"hello":{"role":"server","cpus":[0],"files":9}}`, known},
		{`{"v":7,"report":{}}`, known},
		{`{"v":7,"error":"x"}`, known},
		{`{"v":7,"listen":{"port":39004}}`, "port 39004 is not one of 39000 to 39003"},
		{`{"v":7,"listen":{"port":39001,"control":39004}}`, "control: port 39004 is not one of 39000 to 39003"},
		{`{"v":7,"listen":{"port":0}}`, "port 0 is not one of 39000 to 39003"},
		{`{"v":7,"finish":{}}`, "no port is open"},
	} {
		var out bytes.Buffer
		agent := Agent{Role: probe.RoleServer, Ports: &scenario.PortRange{First: 39000, Last: 39003}}
		if err := agent.Serve(strings.NewReader(greeting+test.order+"\n"), &out); err != nil {
			t.Errorf("%s: %v", test.order, err)
		}
		answer := strings.Split(out.String(), "\n")[2] // after the hello and the answer to the greeting
		if m, err := probe.ParseMessage([]byte(answer)); err != nil || m.Error != test.want {
			t.Errorf("%s: %s, want %s (%v)", test.order, answer, test.want, err)
		}
	}
}

// A server listens on its own address only if that is of the family of the lab.
func TestListenFamily(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address netip.Addr
		ipv6    bool
		want    string
	}{
		{netip.Addr{}, false, "<nil>"},
		{netip.Addr{}, true, "<nil>"},
		{loopbacks["IPv4"], false, "<nil>"},
		{loopbacks["IPv6"], true, "<nil>"},
		{netip.IPv4Unspecified(), true, "server: listen on 0.0.0.0: not an address of the lab's family"},
		{loopbacks["IPv6"], false, "server: listen on ::1: not an address of the lab's family"},
	} {
		s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Address: test.address}))
		must(t, err)
		err = s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: freePort(t), IPv6: test.ipv6})
		if fmt.Sprint(err) != test.want {
			t.Errorf("on %v, IPv6 %v: %v, want %s", test.address, test.ipv6, err, test.want)
		}
	}
}

// A peer that is not a controller gets a last answer with the reason.
func TestServerRefusesPeers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ says, want string }{
		{"GET / HTTP/1.1\r\n", `not a message: "GET / HTTP/1.1"`},
		{`{"v":1,"greet":{}}`, "protocol version 1, this is 7: both sides must be the same snatlab"},
		{`{"v":7}`, `a message with 0 parts instead of one: "{\"v\":7}"`},
		{`{"v":7,"greet":{},"finish":{}}`, `a message with 2 parts instead of one: "{\"v\":7,\"greet\":{},\"finish\":{}}"`},
		{`{"v":7,"format":{}}`, `a message that this snatlab cannot read (json: unknown field "format"): "{\"v\":7,\"format\":{}}"`},
		{`{"v":7,"listen":{"port":70000}}`, `a message that this snatlab cannot read (json: cannot unmarshal number 70000 into Go struct field Listen.listen.port of type uint16): "{\"v\":7,\"listen\":{\"port\":70000}}"`},
		{strings.Repeat("x", probe.MaxOrder), "a line is too long: more than 4096 bytes"},
		{`{"v":7,"listen":{"port":39001}}`, "a server accepts orders only after a greeting"},
		{`{"v":7,"finish":{}}`, "a server accepts orders only after a greeting"},
	} {
		var out bytes.Buffer
		agent := Agent{Role: probe.RoleServer}
		err := agent.Serve(strings.NewReader(test.says+"\n"+`{"v":7,"finish":{}}`+"\n"), &out)
		if fmt.Sprint(err) != test.want {
			t.Errorf("%.40s: error %v, want %s", test.says, err, test.want)
		}
		lines := strings.SplitAfter(strings.TrimSpace(out.String()), "\n")
		if m, err := probe.ParseMessage([]byte(lines[len(lines)-1])); len(lines) != 2 || err != nil || m.Error != test.want {
			t.Errorf("%.40s: answered with %q", test.says, lines)
		}
	}
}
