package server

import (
	"net/netip"
	"testing"

	"snatlab/harness/netnstest"
	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// hosts are addresses of one machine in one family: two of a server that listens on all, and
// those of guests and of a stranger.
type hosts struct {
	all           netip.Addr
	server, other netip.Addr
	guests        netip.Prefix
	guest         [3]netip.Addr
	stranger      netip.Addr
}

// eachFamily runs a test on a machine with addresses of each family. Those of IPv6 are on
// the loopback interface of a namespace of the test.
func eachFamily(t *testing.T, test func(t *testing.T, on hosts)) {
	a := netip.MustParseAddr
	t.Run("IPv4", func(t *testing.T) {
		t.Parallel()
		test(t, hosts{server: a("127.0.0.9"), other: a("127.0.0.8"), guests: netip.MustParsePrefix("127.0.1.0/24"),
			guest: [3]netip.Addr{a("127.0.1.1"), a("127.0.1.2"), a("127.0.1.9")}, stranger: a("127.0.2.1")})
	})
	t.Run("IPv6", func(t *testing.T) {
		t.Parallel()
		netnstest.Enter(t)
		on := hosts{all: netip.IPv6Unspecified(), server: a("2001:2::9"), other: a("2001:2::8"), guests: netip.MustParsePrefix("2001:2:0:1::/64"),
			guest: [3]netip.Addr{a("2001:2:0:1::1"), a("2001:2:0:1::2"), a("2001:2:0:1::9")}, stranger: a("2001:2:0:2::1")}
		netnstest.AddIPv6(t, append(on.guest[:], on.server, on.other, on.stranger)...)
		test(t, on)
	})
}

// A server of one family leaves the same port of the other family free, and has no
// connections over it.
func TestListenersOfBothFamilies(t *testing.T) {
	t.Parallel()
	request := [probe.DatagramSize]byte{}
	probe.WriteDatagram(&request, 5)
	for _, protocol := range []string{result.TCP, result.UDP} {
		var listeners []*Listener
		for _, all := range []netip.Addr{{}, netip.IPv6Unspecified()} {
			l, err := OpenListener(Config{Protocol: protocol, Address: netip.AddrPortFrom(all, 31_201), Files: 100,
				Guests: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::/0")}})
			if err != nil {
				t.Fatal(err)
			}
			listeners = append(listeners, l)
		}
		loopback := netip.MustParseAddr("127.0.0.1")
		to := netip.AddrPortFrom(loopback, 31_201)
		if protocol == result.TCP {
			dialFrom(t, loopback, to)
		} else if got, _ := exchange(t, loopback, to, request[:], answerTime); got != string(request[:]) {
			t.Errorf("answer %q", got)
		}
		for i, want := range []uint64{1, 0} {
			if served, err := listeners[i].Finish(); err != nil || served.Accepted != want || served.Strangers != 0 {
				t.Errorf("%s, listener %d: %+v, %v", protocol, i, served, err)
			}
		}
	}
}
