package server

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"snatlab/harness/probe/query"
	"snatlab/harness/result"
)

// A resolver answers queries of guests over UDP and TCP, and counts a source once. It
// answers nothing else.
func TestResolver(t *testing.T) {
	t.Parallel()
	eachFamily(t, checkResolver)
}

func checkResolver(t *testing.T, on hosts) {
	l, err := OpenListener(Config{Protocol: result.UDP, DNS: true, Address: netip.AddrPortFrom(on.all, 39061), Control: 39062, Guests: []netip.Prefix{on.guests}, Files: 100})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := query.NewPair(5)
	if err != nil {
		t.Fatal(err)
	}
	to, control := netip.AddrPortFrom(on.server, 39061), netip.AddrPortFrom(on.server, 39062)
	for _, at := range []netip.AddrPort{to, control} {
		if got, by := exchange(t, on.guest[0], at, pair[0].Write(77), answerTime); got != string(pair[0].Answer(77)) || by != to.Addr() {
			t.Errorf("%v: answer %q by %v", at, got, by)
		}
	}
	other := netip.AddrPortFrom(on.other, 39061)
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(on.guest[2], 39063)))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetDeadline(time.Now().Add(answerTime))
	for _, at := range []netip.AddrPort{to, other} { // two connections, of two queries each
		for _, q := range pair {
			buffer := make([]byte, 512)
			if _, err := socket.WriteToUDPAddrPort(q.Write(3), at); err != nil {
				t.Fatal(err)
			}
			if n, by, err := socket.ReadFromUDPAddrPort(buffer); err != nil || by != at || !q.IsAnswer(buffer[:n], 3) {
				t.Errorf("%v: answer %q by %v, %v", at, buffer[:n], by, err)
			}
		}
	}
	for name, message := range map[string][]byte{
		"a cut one": pair[0].Write(77)[:20], "an answer": pair[0].Answer(77), "a long one": make([]byte, 200), "an empty one": nil,
	} {
		if got, _ := exchange(t, on.guest[0], to, message, 100*time.Millisecond); got != "" {
			t.Errorf("%s was answered by %q", name, got)
		}
	}
	if got, _ := exchange(t, on.stranger, to, pair[0].Write(77), 100*time.Millisecond); got != "" {
		t.Errorf("a stranger was answered by %q", got)
	}
	conn := dialFrom(t, on.guest[1], to)
	for _, q := range pair {
		if _, err := conn.Write(q.Write(78)); err != nil {
			t.Fatal(err)
		}
	}
	answer := make([]byte, 512)
	for _, q := range pair {
		if n, err := conn.Read(answer); err != nil || !q.IsAnswer(answer[:n], 78) {
			t.Errorf("over TCP: %q, %v", answer[:n], err)
		}
	}
	if _, err := conn.Write([]byte("no query")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(answer); err == nil {
		t.Errorf("over TCP: answer %q to what is no query", answer[:n])
	}
	if stranger, err := dialTCP(on.stranger, to); err == nil { // it may be reset before it knows that it is connected
		defer stranger.Close()
		stranger.Write(pair[0].Write(79))
		if n, err := stranger.Read(answer); err == nil {
			t.Errorf("over TCP: a stranger was answered by %q", answer[:n])
		}
	}
	served, err := l.Finish()
	if err != nil || served.Accepted != 4 || served.ControlAccepted != 1 || served.Strangers != 2 || served.Malformed != 5 || *served.ReceiveDrops != 0 {
		t.Errorf("%+v, %v", served, err)
	}
}

// dialFrom connects over TCP, for messages of DNS.
func dialFrom(t *testing.T, from netip.Addr, to netip.AddrPort) *dns.Conn {
	t.Helper()
	conn, err := dialTCP(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialTCP(from netip.Addr, to netip.AddrPort) (*dns.Conn, error) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	return &dns.Conn{Conn: conn}, conn.SetDeadline(time.Now().Add(answerTime))
}

// Look-ups are requests of UDP.
func TestResolverOverTCP(t *testing.T) {
	t.Parallel()
	if _, err := OpenListener(Config{Protocol: result.TCP, DNS: true}); err == nil || err.Error() != `look-ups over protocol "tcp": not over udp` {
		t.Error(err)
	}
}
