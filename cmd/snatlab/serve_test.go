package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
)

// otherHost runs `snatlab serve` in a network namespace of its own, which a
// cable joins to this one: another machine, as far as NAT is concerned.
func otherHost(t *testing.T, args ...string) (*process, netip.Addr) {
	t.Helper()
	const here, there = "198.19.255.1/30", "198.19.255.2/30"
	serve := exec.Command(binary, append([]string{"serve"}, args...)...)
	serve.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	p := startCommand(t, serve)

	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "snatlab-test0"}, PeerName: "snatlab-test1"}
	must(t, netlink.LinkAdd(cable))
	t.Cleanup(func() {
		if err := netlink.LinkDel(cable); !errors.Is(err, unix.ENODEV) { // it goes with the other machine
			must(t, err)
		}
	})
	peer, err := netlink.LinkByName(cable.PeerName)
	must(t, err)
	must(t, netlink.LinkSetNsPid(peer, p.Process.Pid))
	must(t, plug(netlink.NewHandle, cable.Name, here))

	ns, err := netns.GetFromPid(p.Process.Pid)
	must(t, err)
	defer ns.Close()
	inThere := func(families ...int) (*netlink.Handle, error) { return netlink.NewHandleAt(ns, families...) }
	must(t, plug(inThere, cable.PeerName, there))
	return p, netip.MustParsePrefix(there).Addr()
}

// plug gives an interface an address and sets it up.
func plug(open func(...int) (*netlink.Handle, error), name, address string) error {
	h, err := open()
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := h.AddrAdd(link, a); err != nil {
		return err
	}
	return h.LinkSetUp(link)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheServerCanStandOnAnotherMachine(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	server, address := otherHost(t, "--listen", "0.0.0.0:20000", "--ports", "5")
	run := func(rounds string) *process {
		return start(t, "run", "--rounds", rounds, scenarioFile(t, `
name: two-hosts
server: {address: "`+netip.AddrPortFrom(address, 20000).String()+`"}
load: {requests: 100}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`))
	}
	p := run("2")
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Fatalf("exit code %d\n%s\n%s", code, p.said(t), server.said(t))
	}
	r := p.result(t)
	for _, arm := range r.Arms {
		for _, trial := range arm.Trials {
			if trial.Port < 20001 || trial.Port > 20005 || trial.Requests != 200 || matchedBesides(t, trial) != 0 {
				t.Errorf("%s, round %d: %+v", arm.Name, trial.Round, trial)
			}
		}
	}
	p = run("3") // seven ports are one for the path check, and one a trial
	if code := p.wait(t); code != exitUnable || !strings.Contains(p.said(t), "has too few ports: each of 7 trials takes one (snatlab serve --ports 7)") {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	server.Process.Signal(unix.SIGTERM)
	if code := server.wait(t); code != 128+int(unix.SIGTERM) {
		t.Errorf("serve: exit code %d\n%s", code, server.said(t))
	}
}

// What answers at the address must be snatlab: no other server is sent load.
func TestAServerThatIsNoSnatlabIsSentNothing(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	const here = "198.19.255.5/32"
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "snatlab-test0"}, PeerName: "snatlab-test1"}
	must(t, netlink.LinkAdd(cable))
	t.Cleanup(func() {
		if err := netlink.LinkDel(cable); !errors.Is(err, unix.ENODEV) { // it goes with the other machine
			must(t, err)
		}
	})
	must(t, plug(netlink.NewHandle, cable.Name, here))
	stranger, err := net.Listen("tcp4", "198.19.255.5:20000")
	must(t, err)
	defer stranger.Close()
	go func() {
		if conn, err := stranger.Accept(); err == nil {
			conn.Write([]byte("220 mail.example ESMTP\r\n"))
			conn.Close()
		}
	}()
	p := start(t, "run", scenarioFile(t, `
name: stranger
server: {address: "198.19.255.5:20000"}
arms: [{name: masquerade}]
`))
	want := `server at 198.19.255.5:20000 died: not a message: "220 mail.example ESMTP"`
	if code := p.wait(t); code != exitUnable || !strings.Contains(p.said(t), want) {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
}

// ordered serves in this process, without a network namespace: it opens ports of
// the loopback interface, if any.
func ordered(t *testing.T, greetTime time.Duration) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{KeepAliveConfig: alive}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancelCause(context.Background()) // the test's own ends before its cleanups
	ended := make(chan error, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	go func() {
		ended <- takeOrders(ctx, listener, probe.Agent{Role: probe.RoleServer, Address: loopback, Ports: &probe.Ports{First: 39010, Last: 39019}}, greetTime)
	}()
	over := errors.New("the test is over")
	t.Cleanup(func() {
		cancel(over)
		if err := <-ended; err != over {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String()
}

// call is what a run does first.
func call(t *testing.T, address string) *probe.Server {
	t.Helper()
	conn, err := net.Dial("tcp4", address)
	must(t, err)
	s, err := probe.OpenServer(t.Context(), probe.Stream{Name: "server", In: conn, Out: conn, Close: conn.Close})
	must(t, err)
	return s
}

// Who keeps the server busy without being a run, for long or for good, keeps no
// run from it.
func TestAPeerThatIsNoRunDoesNotKeepTheServerFromRuns(t *testing.T) {
	const greet = `{"v":2,"greet":{}}` + "\n"
	for name, says := range map[string]string{
		"nothing":             "",
		"half a greeting":     greet[:10],
		"another protocol":    "GET / HTTP/1.1\r\n\r\n",
		"an order":            `{"v":2,"finish":{}}` + "\n",
		"an endless line":     strings.Repeat("x", 1<<20),
		"an order of clients": `{"v":2,"run":{"server":"127.0.0.1:1","requests":1099511627776,"timeout":-1}}` + "\n",
		"too many ports":      greet + `{"v":2,"listen":{"port":1}}` + "\n" + strings.Repeat("x", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			address := ordered(t, 100*time.Millisecond)
			stranger, err := net.Dial("tcp4", address)
			must(t, err)
			defer stranger.Close()
			// It may be hung up on before it has said everything.
			_, _ = stranger.Write([]byte(says))
			s := call(t, address)
			must(t, s.Listen(t.Context(), 39010))
			served, err := s.Finish(t.Context())
			if err != nil || served.Accepted != 0 {
				t.Errorf("%+v, %v", served, err)
			}
			must(t, s.Close())
		})
	}
}

// A run may say nothing for long: its clients are sending.
func TestARunThatHasGreetedMayTakeItsTime(t *testing.T) {
	const greetTime = 50 * time.Millisecond
	s := call(t, ordered(t, greetTime))
	must(t, s.Listen(t.Context(), 39011))
	time.Sleep(3 * greetTime)
	if _, err := s.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	must(t, s.Close())
}

// An answer that nobody reads is not waited for: see answers.
func TestAPeerThatDoesNotReadIsWaitedForWithADeadline(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	deadlines := &deadlines{Conn: here}
	go there.Read(make([]byte, 1)) // one byte is taken, and no more
	_, _ = answers{deadlines}.Write([]byte("x"))
	if left := time.Until(deadlines.write); left <= 0 || left > tellTime {
		t.Errorf("%v are left", left)
	}
}

// deadlines remembers the last one for writing.
type deadlines struct {
	net.Conn
	write time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	return d.Conn.SetWriteDeadline(t)
}

// A machine that is gone says nothing any more: keep-alives tell.
func TestAPeerWhoseMachineIsGoneIsMissed(t *testing.T) {
	listener, err := (&net.ListenConfig{KeepAliveConfig: alive}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	peer, err := net.Dial("tcp4", listener.Addr().String())
	must(t, err)
	defer peer.Close()
	conn, err := listener.Accept()
	must(t, err)
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		for option, want := range map[int]int{unix.TCP_KEEPIDLE: 15, unix.TCP_KEEPINTVL: 5, unix.TCP_KEEPCNT: 6} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); err != nil || got != want {
				t.Errorf("option %d is %d, want %d (%v)", option, got, want, err)
			}
		}
	}))
}
