package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// behaviourVariable names the environment variable that makes of this test a QEMU, which
// behaves as it says.
const behaviourVariable = "SNATLAB_TEST_QEMU"

func TestMain(m *testing.M) {
	if how := os.Getenv(behaviourVariable); how != "" {
		os.Exit(fakeQEMU(how))
	}
	os.Exit(m.Run())
}

// fakeQEMU is one whose guest is not to be had from a kernel.
func fakeQEMU(how string) (code int) {
	channel := os.NewFile(channelFD, "channel")
	guest := &guestConn{w: channel}
	greet := func() { guest.sendJSON(frameHello, hello{protocolVersion, testRelease}) }
	hang := func() { time.Sleep(time.Hour) }
	switch how {
	case "runs":
		greet()
		guest.sendProgress([]byte("making the router"))
		guest.sendFrame(frameResult, []byte("the result"))
		hang()
	case "cannot":
		fmt.Fprintln(os.Stderr, "qemu: invalid accelerator kvm\nqemu: Aborted")
		return 1
	case "panics":
		greet()
		fmt.Print("[    2.8] Kernel panic - not syncing: sysrq triggered crash\n[    2.9] CPU: 1\n")
	case "ends":
		greet()
		fmt.Print("reboot: Restarting system\n")
	case "mute":
		hang()
	case "falls silent":
		greet()
		hang()
	case "halts":
		fmt.Print("Decoding failed\n\n -- System halted")
		hang()
	case "talks on":
		greet()
		for {
			guest.sendProgress([]byte(strings.Repeat("still here", 1000)))
			time.Sleep(time.Millisecond)
		}
	case "fails":
		greet()
		guest.sendFrame(frameFailure, []byte("load module nf_nat: exec format error"))
		hang()
	case "fails at length":
		greet()
		guest.sendFrame(frameFailure, []byte("panic in the guest: nil map\ngoroutine 1 [running]:\nmain.main()\n"))
		hang()
	case "reports nonsense":
		greet()
		guest.sendProgress([]byte("odd"))
		hang()
	case "starts another one":
		startOtherMachine()
	case "says that it has started":
		fmt.Fprintln(channel, "started")
		hang()
	case "writes noise":
		fmt.Fprint(channel, "login: login: login: ")
		hang()
	}
	return 0
}

// bootFake boots a guest that behaves in a way.
func bootFake(t *testing.T, ctx context.Context, how string, m *Machine, progress func([]byte) error) (GuestOutput, error) {
	t.Helper()
	t.Setenv(behaviourVariable, how)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m.QEMU = self
	if m.Timeout == 0 {
		m.Timeout = time.Minute
	}
	empty, err := newMemfd("nothing", func(io.Writer) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	patience := m.silence
	if patience == 0 {
		patience = time.Minute
	}
	g := &bootedGuest{Machine: m, release: testRelease, progress: progress, patience: patience, greeted: func() {}}
	return g.bootAndWait(ctx, TCG, empty, empty)
}

func TestBootGuest(t *testing.T) {
	var watch recordedReports
	r, err := bootFake(t, t.Context(), "runs", &Machine{}, watch.record)
	if err != nil || string(r.Result) != "the result" || len(watch) != 1 {
		t.Errorf("got %q, %v; told %q", r.Result, err, watch)
	}
}

func TestBootGuestErrors(t *testing.T) {
	const soon = 300 * time.Millisecond
	for how, c := range map[string]struct {
		silence, timeout time.Duration
		want             string
		console          int
	}{
		"cannot":           {want: "QEMU ended with exit status 1: qemu: invalid accelerator kvm; qemu: Aborted"},
		"panics":           {want: "the kernel panicked: sysrq triggered crash", console: 2},
		"ends":             {want: errNoOutcome.Error(), console: 1},
		"mute":             {silence: soon, want: "the guest said nothing for 300ms"},
		"falls silent":     {silence: 2 * time.Second, want: "the guest said nothing for 2s"},
		"talks on":         {timeout: 2 * time.Second, want: "the guest was not done after 2s (--timeout)"},
		"halts":            {want: "the kernel's image cannot be unpacked: Decoding failed", console: 2},
		"fails":            {want: "in the guest: load module nf_nat: exec format error"},
		"fails at length":  {want: "in the guest: panic in the guest: nil map", console: 2},
		"reports nonsense": {want: "listen to the guest: no report of ours"},
		"writes noise":     {want: `listen to the guest: "login: lo" opens no frame`},
	} {
		t.Run(how, func(t *testing.T) {
			r, err := bootFake(t, t.Context(), how, &Machine{silence: c.silence, Timeout: c.timeout}, new(recordedReports).record)
			var fault *GuestError
			if !errors.As(err, &fault) || fault.Reason != c.want || len(fault.Console) != c.console || r.Result != nil {
				t.Errorf("got %v, %+v", r, err)
			}
		})
	}
}

func TestBootGuestContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := func([]byte) error {
		cancel(errors.New("interrupted"))
		return nil
	}
	if _, err := bootFake(t, ctx, "talks on", &Machine{}, enough); err == nil || err.Error() != "interrupted" {
		t.Errorf("got %v", err)
	}
}

// A process that started a machine may end in any way: the machine ends, too.
func TestQEMUEndsWithParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), behaviourVariable+"=starts another one")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var machine int
	if _, err := fmt.Fscanf(out, "started %d\n", &machine); err != nil {
		t.Fatal(err)
	}
	known, err := unix.PidfdOpen(machine, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(known)
	parent.Process.Kill()
	parent.Wait()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(known), Events: unix.POLLIN}}, 60_000); n != 1 {
		unix.Kill(machine, unix.SIGKILL)
		t.Errorf("it lives on (%v)", err)
	}
}

// startOtherMachine starts a machine that hangs, and hangs.
func startOtherMachine() {
	os.Setenv(behaviourVariable, "says that it has started")
	self, _ := os.Executable()
	empty, _ := newMemfd("nothing", func(io.Writer) error { return nil })
	q, err := startQEMU(self, nil, empty, empty)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = q.channel.Read(make([]byte, 1)) // it is there
	fmt.Printf("started %d\n", q.process.Pid)
	time.Sleep(time.Hour)
}
