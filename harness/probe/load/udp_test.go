package load

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/probe/server"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// startDatagramServer starts a server on a port of an address that answers each datagram as
// answer says, and returns both.
func startDatagramServer(t *testing.T, at netip.Addr, answer func(conn *net.UDPConn, to netip.AddrPort, datagram []byte)) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			answer(conn, from, buffer[:n])
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A datagram is answered by itself and by nothing else, and each request counts once.
func TestSendDatagrams(t *testing.T) {
	t.Parallel()
	const requests = 50
	echo := func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) { conn.WriteToUDPAddrPort(datagram, to) }
	for _, test := range []struct {
		name      string
		answer    func(conn *net.UDPConn, to netip.AddrPort, datagram []byte)
		succeeded int
		foreign   int
		late      uint64 // at least: other tests run in this namespace
	}{
		{name: "once", answer: echo, succeeded: requests},
		{name: "twice", succeeded: requests, answer: func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) {
			echo(conn, to, datagram)
			time.Sleep(5 * time.Millisecond) // the socket is closed by then
			echo(conn, to, datagram)
		}, late: requests / 2},
		{name: "never", answer: func(*net.UDPConn, netip.AddrPort, []byte) {}},
		{name: "late", answer: func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) {
			later := append([]byte(nil), datagram...)
			time.AfterFunc(400*time.Millisecond, func() { echo(conn, to, later) })
		}, late: requests / 2},
		{name: "foreign", foreign: 3 * requests, answer: func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) {
			echo(conn, to, datagram[:len(datagram)-1])
			echo(conn, to, nil)
			datagram[len(datagram)-1] ^= 1 // the answer to another request
			echo(conn, to, datagram)
		}},
		{name: "foreign, then right", succeeded: requests, foreign: requests, answer: func(conn *net.UDPConn, to netip.AddrPort, datagram []byte) {
			echo(conn, to, append([]byte("x"), datagram...))
			echo(conn, to, datagram)
		}},
	} {
		for family, at := range loopbacks {
			t.Run(test.name+", "+family, func(t *testing.T) {
				load := probe.ClientLoad{Protocol: result.UDP, Server: startDatagramServer(t, at, test.answer), Requests: requests, Timeout: 200 * time.Millisecond, Concurrency: 8}
				if test.succeeded > 0 {
					load.Timeout = 10 * time.Second
				}
				load.Explain = true
				r, err := Send(t.Context(), load, []int{0}, 1024, nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := r.CheckAgainst(load); err != nil {
					t.Error(err)
				}
				foreign := r.Datagrams.Foreign
				if test.late > 0 { // an answer may come to a socket that has the port of one that is closed
					foreign = 0
				}
				if r.Succeeded != test.succeeded || r.Failures[result.Timeout] != requests-test.succeeded || foreign != test.foreign {
					t.Errorf("%d succeeded, failed %v, %d foreign; want %d and %d foreign", r.Succeeded, r.Failures, r.Datagrams.Foreign, test.succeeded, test.foreign)
				}
				if late := r.Datagrams.Late; late == nil || *late < test.late {
					t.Errorf("late answers: %v, want at least %d", late, test.late)
				}
			})
		}
	}
}

// A port without a server refuses datagrams.
func TestSendDatagramsRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.IPv6Loopback()} {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		if err != nil {
			t.Fatal(err)
		}
		address := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		conn.Close()
		load := probe.ClientLoad{Protocol: result.UDP, Server: address, Requests: 1, Timeout: 10 * time.Second, Concurrency: 1}
		r, err := Send(t.Context(), load, []int{0}, 1024, nil)
		if err != nil || r.Failures[result.Refused] != 1 {
			t.Errorf("%v: %+v, %v", at, r, err)
		}
	}
}

// The datagrams of a lockstep load and of its control are answered and counted apart, with
// and without a control.
func TestSendDatagramsInStep(t *testing.T) {
	for family, at := range loopbacks {
		for name, with := range map[string]bool{"with a control": true, "without": false} {
			t.Run(name+", "+family, func(t *testing.T) { checkDatagramsInStep(t, at, with) })
		}
	}
}

func checkDatagramsInStep(t *testing.T, at netip.Addr, withControl bool) {
	const requests = 300
	arm, control := netip.AddrPortFrom(at, 39031), uint16(39032)
	config := server.Config{Protocol: result.UDP, Address: arm, Guests: guest(at), Files: 1024}
	load := probe.ClientLoad{Protocol: result.UDP, Server: arm, Requests: requests, Timeout: 10 * time.Second, Lockstep: &probe.LockstepPart{
		Clients: 1, CPUs: 1, Ports: scenario.PortRange{First: 10_000, Last: 14_999}}}
	want := uint64(0)
	if withControl {
		config.Control, want = control, requests
		load.Lockstep.Control = &probe.ControlPart{Server: netip.AddrPortFrom(at, control), Every: 1, Ports: scenario.PortRange{First: 15_000, Last: 19_999}}
	}
	l, err := server.OpenListener(config)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Send(t.Context(), load, []int{0}, 1024, nil)
	if err == nil {
		err = r.CheckAgainst(load)
	}
	if err != nil || r.Succeeded != requests {
		t.Errorf("%+v, %v", r, err)
	}
	served, err := l.Finish()
	if err != nil || served.Accepted != requests || served.ControlAccepted != want || served.ReceiveDrops == nil || *served.ReceiveDrops != 0 {
		t.Errorf("%+v, %v", served, err)
	}
}
