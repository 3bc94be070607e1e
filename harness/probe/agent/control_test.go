package agent

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// The port of the control is open together with that of the trial, and its connections
// are counted apart.
func TestControlPort(t *testing.T) {
	s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Guests: localGuests}))
	if err != nil {
		t.Fatal(err)
	}
	client := startClient(t, "client 0")
	trial, control := freePort(t), freePort(t)
	for _, c := range []struct{ arm, control int }{{7, 5}, {600, 0}, {0, 600}, {1, 1}} { // the same port again in each
		if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: trial, Control: control}); err != nil {
			t.Fatal(err)
		}
		for port, requests := range map[uint16]int{trial: c.arm, control: c.control} {
			if requests == 0 {
				continue
			}
			address := netip.AddrPortFrom(localGuests[0].Addr(), port)
			report, err := client.Run(t.Context(), probe.ClientLoad{Server: address, Requests: requests, Timeout: time.Second, Concurrency: 16})
			if err != nil || report.Succeeded != requests {
				t.Fatalf("%+v, %v", report, err)
			}
		}
		stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
		if conn, err := stranger.DialContext(t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", control)); err == nil {
			defer conn.Close()
		}
		served, err := s.Finish(t.Context())
		if err != nil || served.Accepted != uint64(c.arm) || served.ControlAccepted != uint64(c.control) || served.Strangers != 0 {
			t.Errorf("of %+v the server saw %+v, %v", c, served, err)
		}
		if c.arm > 0 && (len(served.Sources) != 1 || served.Sources[0].Accepted != uint64(c.arm)) {
			t.Errorf("of %+v the sources are %+v", c, served.Sources)
		}
		for part, n := range map[*probe.PortCounts]int{&served.Ports: c.arm, &served.ControlPorts: c.control} {
			part.Each(func(_, connections int) { n -= connections })
			if n != 0 {
				t.Errorf("of %+v, %d connections have no source port: %v", c, n, *part)
			}
		}
		if conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", control)); err == nil {
			conn.Close()
			t.Error("the port of the control is still open")
		}
	}
}

// A port of the control that cannot be opened is an error that names it, and leaves no
// port open.
func TestControlPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	trial, control := freePort(t), uint16(taken.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		agent   Agent
		control uint16
		want    string
	}{
		{Agent{Address: localGuests[0].Addr()}, control, fmt.Sprintf("server: control: listen on port %d: address already in use", control)},
		{Agent{}, trial, fmt.Sprintf("server: control: port %d is that of the trial", trial)},
	} {
		c.agent.Role = probe.RoleServer
		s, err := probe.OpenServer(t.Context(), startAgent(t, "server", c.agent))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: trial, Control: c.control}); err == nil || err.Error() != c.want {
			t.Errorf("error %v\nwant  %s", err, c.want)
		}
		if conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", trial)); err == nil {
			conn.Close()
			t.Error("the port of the trial is open")
		}
	}
}
