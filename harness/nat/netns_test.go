package nat

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// namespace moves the test into a network namespace of its own, which has the
// client network and a way out of it.
func namespace(t *testing.T) {
	t.Helper()
	netnstest.Enter(t)
	topology(t)
}

// topology makes the bridge and the interface that leads out. They are the two
// ends of one cable, so that both are up.
func topology(t *testing.T) {
	t.Helper()
	const out = "out"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: bridge}, PeerName: out}); err != nil {
		t.Fatalf("add interfaces: %v", err)
	}
	for name, address := range map[string]netip.Addr{bridge: clientAddress, out: outAddress} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		a, err := netlink.ParseAddr(address.String() + "/24")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(netlink.AddrAdd(link, a), netlink.LinkSetUp(link)); err != nil {
			t.Fatalf("give %s to %s: %v", address, name, err)
		}
	}
}

// eachVariant runs a test with iptables-nft and with iptables-legacy, each in
// a namespace of its own.
func eachVariant(t *testing.T, test func(t *testing.T, tables *Tables)) {
	t.Helper()
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			namespace(t)
			test(t, program(t, variant))
		})
	}
}

// program gives a variant that works in the test's namespace.
func program(t *testing.T, variant string) *Tables {
	t.Helper()
	tables, err := open("iptables-" + variant)
	if err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	if out, err := exec.Command(tables.Path, "-t", "nat", "-S").CombinedOutput(); strings.Contains(string(out), "Table does not exist") {
		t.Skipf("a kernel without %s tables: %s", variant, out)
	} else if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return tables
}

// rules writes rules into a chain of the nat table, as `iptables -A` takes them.
func (t *Tables) rules(test *testing.T, rules ...string) {
	test.Helper()
	for _, r := range rules {
		netnstest.Run(test, t.Path+" -t nat -A POSTROUTING "+r)
	}
}

// listing returns the chain's lines as iptables prints them, with the counters and
// without our mark.
func (t *Tables) listing(test *testing.T) []string {
	test.Helper()
	return strings.Split(strings.TrimSpace(unmarked(netnstest.Run(test, t.Path+" -t nat -v -S POSTROUTING 2>/dev/null"))), "\n")
}

// unmarked removes the marks that rules of a journal of newJournal carry.
func unmarked(listing string) string {
	return strings.ReplaceAll(listing, commentText("snatlab-run"), "")
}

// unchanged reports where a listing is another than it was.
func (t *Tables) unchanged(test *testing.T, before []string) {
	test.Helper()
	unchanged(test, before, t.listing(test))
}

func newJournal(t *testing.T) (j *undo.Journal, path string) {
	t.Helper()
	dir := t.TempDir()
	j, err := undo.Create(dir, "run", Undoers())
	if err != nil {
		t.Fatal(err)
	}
	return j, filepath.Join(dir, "run.journal")
}

func closeJournal(t *testing.T, j *undo.Journal) {
	t.Helper()
	if err := j.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// The network whose rule is rewritten in these tests.
var (
	subnet = netip.MustParsePrefix("198.18.0.0/24")
	ours   = "-s 198.18.0.0/24 ! -o snat-c -j MASQUERADE"
)

const bridge = "snat-c"

// The address of a client, the one that it leaves under, and that of a server,
// where nobody is: what is sent there passes all rules.
var (
	clientAddress = netip.MustParseAddr("198.18.0.1")
	outAddress    = netip.MustParseAddr("192.0.2.1")
	serverAddress = netip.MustParseAddr("192.0.2.9")
)

// others are the rules of others around ours, with counters that have moved.
var others = []string{
	"-c 7 420 -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
	"-c 1 60 -s 198.18.0.0/24 ! -o snat-s -j MASQUERADE",
	"-c 2 120 -s 198.18.1.0/24 ! -o snat-c -j MASQUERADE",
	"-c 3 180 -s 198.18.0.0/24 -o snat-c -j MASQUERADE",
	"-c 4 240 -s 198.18.2.0/24 ! -o snat-2 -j MASQUERADE --random-fully",
	"-c 5 300 -s 198.18.0.0/24 ! -o snat-c -p tcp -j MASQUERADE --to-ports 1024-65535",
	`-c 6 360 -s 198.18.0.0/24 ! -o snat-c -m comment --comment "it's \"ours\" -c 0 0 #not" -j MASQUERADE`,
	"-c 8 480 -s 198.18.0.0/24 ! -o snat-c -m comment --comment -c -j MASQUERADE",
	"-c 9 540 -s 198.18.0.0/25 ! -o snat-c -j MASQUERADE",
	"-c 10 600 -s 198.18.0.0/24 ! -o snat-c+ -j RETURN",
	"-c 11 660 -s 198.18.0.2/32",
}

// busy writes our rule between those of others.
func (t *Tables) busy(test *testing.T) {
	test.Helper()
	t.rules(test, slices.Concat(others[:6], []string{"-c 12 720 " + ours}, others[6:])...)
}

// find gives the rule of the network in these tests.
func find(t *testing.T, variants ...*Tables) *Rule {
	t.Helper()
	r, err := Find(t.Context(), variants, subnet, bridge)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// apply gives the rule the options.
func apply(t *testing.T, r *Rule, j *undo.Journal, o snat.Options) *InForce {
	t.Helper()
	f, err := r.Apply(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// send makes n connections out of the client network, of two packets each.
func send(t *testing.T, n int) {
	t.Helper()
	for range n {
		c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(clientAddress, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(serverAddress, 9000)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // no port is used twice
		for range 2 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// connect sends n SYNs out of the client network, each from another port.
func connect(t *testing.T, server netip.AddrPort, n int) {
	t.Helper()
	for range n {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(socket) // no port is used twice
		if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: clientAddress.As4()}); err != nil {
			t.Fatal(err)
		}
		err = unix.Connect(socket, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())})
		if !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
	}
}
