package server

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// answerTime bounds the wait for an answer that comes.
const answerTime = 10 * time.Second

// exchange sends a datagram from an address and returns the answer, and where it came
// from; nothing if there is none.
func exchange(t *testing.T, from netip.Addr, to netip.AddrPort, datagram []byte, wait time.Duration) (answer string, by netip.Addr) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.WriteToUDPAddrPort(datagram, to); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(wait))
	buffer := make([]byte, 100)
	n, source, err := conn.ReadFromUDPAddrPort(buffer)
	if err != nil {
		return "", netip.Addr{}
	}
	return string(buffer[:n]), source.Addr()
}

// A server returns the requests of guests from the address that they came to, and answers
// nothing else.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	eachFamily(t, checkDatagrams)
}

func checkDatagrams(t *testing.T, on hosts) {
	l, err := OpenListener(Config{Protocol: result.UDP, Address: netip.AddrPortFrom(on.all, 39041), Control: 39042, Guests: []netip.Prefix{on.guests}, Files: 100})
	if err != nil {
		t.Fatal(err)
	}
	var request [probe.DatagramSize]byte
	probe.WriteDatagram(&request, 77)
	to := netip.AddrPortFrom(on.server, 39041)
	if got, by := exchange(t, on.guest[0], to, request[:], answerTime); got != string(request[:]) || by != to.Addr() {
		t.Errorf("answer %q by %v", got, by)
	}
	control := netip.AddrPortFrom(to.Addr(), 39042)
	if got, by := exchange(t, on.guest[1], control, request[:], answerTime); got != string(request[:]) || by != to.Addr() {
		t.Errorf("control: answer %q by %v", got, by)
	}
	for name, got := range map[string]func() (string, netip.Addr){
		"a stranger": func() (string, netip.Addr) { return exchange(t, on.stranger, to, request[:], 100*time.Millisecond) },
		"a cut one":  func() (string, netip.Addr) { return exchange(t, on.guest[0], to, request[:5], 100*time.Millisecond) },
		"a long one": func() (string, netip.Addr) {
			return exchange(t, on.guest[0], to, append(request[:], 0), 100*time.Millisecond)
		},
		"another one": func() (string, netip.Addr) {
			return exchange(t, on.guest[0], to, make([]byte, probe.DatagramSize), 100*time.Millisecond)
		},
	} {
		if answer, _ := got(); answer != "" {
			t.Errorf("%s was answered by %q", name, answer)
		}
	}
	served, err := l.Finish()
	if err != nil || served.Accepted != 1 || served.ControlAccepted != 1 || served.Strangers != 1 || served.Malformed != 3 || *served.ReceiveDrops != 0 {
		t.Errorf("%+v, %v", served, err)
	}
	if served.Ports == nil || served.ControlPorts == nil {
		t.Errorf("source ports %v, of the control %v", served.Ports, served.ControlPorts)
	}
	if len(served.Sources) != 1 || served.Sources[0].Address != on.guest[0] {
		t.Errorf("sources %v", served.Sources)
	}
}

// What finds the queue full is counted.
func TestReceiveDrops(t *testing.T) {
	t.Parallel()
	fd, err := listenUDP(netip.MustParseAddrPort("127.0.0.1:39043"))
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{protocol: result.UDP, trial: fd, control: -1}
	defer l.closePorts()
	conn, err := net.Dial("udp4", "127.0.0.1:39043")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 100_000 { // nobody reads them
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if n := l.countReceiveDrops(); n == nil || *n > 0 {
			return
		}
	}
	t.Errorf("no drop was counted")
}
