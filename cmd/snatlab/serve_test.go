package main

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// otherHost runs `snatlab serve` in a network namespace of its own, which a veth pair
// connects to this one. For NAT it is another machine.
func otherHost(t *testing.T, args ...string) (*process, netip.Addr) {
	t.Helper()
	const here, there = "198.19.255.1/30", "198.19.255.2/30"
	serve := exec.Command(binary, append([]string{"serve"}, args...)...)
	serve.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	p := startCommand(t, serve)

	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "snatlab-test0"}, PeerName: "snatlab-test1"}
	must(t, netlink.LinkAdd(cable))
	t.Cleanup(func() {
		if err := netlink.LinkDel(cable); !errors.Is(err, unix.ENODEV) { // it is removed with the other namespace
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

// plug adds an address to an interface and sets it up.
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

// The server can be on another machine.
func TestServeRemote(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	server, address := otherHost(t, "--listen", "0.0.0.0:20000", "--ports", "7")
	run := func(rounds string) *process {
		return start(t, "run", "--force", "--rounds", rounds, scenarioFile(t, `
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
			if trial.Port < 20001 || trial.Port > 20007 || trial.Requests != 200 || matchedBesides(t, trial) != 0 {
				t.Errorf("%s, round %d: %+v", arm.Name, trial.Round, trial)
			}
		}
	}
	p = run("3") // nine ports: for the control, for the path check, for the warm-up, and for each trial
	if code := p.wait(t); code != exitUnable || !strings.Contains(p.said(t), "has too few ports: each of 8 trials takes one, and their control another (snatlab serve --ports 9)") {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	server.Process.Signal(unix.SIGTERM)
	if code := server.wait(t); code != 128+int(unix.SIGTERM) {
		t.Errorf("serve: exit code %d\n%s", code, server.said(t))
	}
}

// Only snatlab gets load: the program that answers at the address must be
// snatlab.
func TestServeForeign(t *testing.T) {
	h := needHost(t)
	h.unchanged(t)
	const here = "198.19.255.5/32"
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "snatlab-test0"}, PeerName: "snatlab-test1"}
	must(t, netlink.LinkAdd(cable))
	t.Cleanup(func() {
		if err := netlink.LinkDel(cable); !errors.Is(err, unix.ENODEV) { // it is removed with the other namespace
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
