package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain runs a fake QEMU if there is a kernel command line: it names the behaviour.
func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, "-append"); i >= 0 {
		os.Exit(fakeQEMU(os.Args[i+1]))
	}
	os.Exit(m.Run())
}

// fakeQEMU behaves like a QEMU whose guest does something that no kernel does on
// demand.
func fakeQEMU(how string) (code int) {
	channel := os.NewFile(channelFD, "channel")
	conn := &guestConn{w: channel}
	greet := func() { conn.sendJSON(frameHello, hello{protocolVersion, testRelease}) }
	hang := func() { time.Sleep(time.Hour) }
	switch how {
	case "runs":
		greet()
		conn.sendProgress([]byte("making the router"))
		conn.sendFrame(frameResult, []byte("the result"))
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
			conn.sendProgress([]byte(strings.Repeat("still here", 1000)))
			time.Sleep(time.Millisecond)
		}
	case "fails":
		greet()
		conn.sendFrame(frameFailure, []byte("load module nf_nat: exec format error"))
		hang()
	case "fails at length":
		greet()
		conn.sendFrame(frameFailure, []byte("panic in the guest: nil map\ngoroutine 1 [running]:\nmain.main()\n"))
		hang()
	case "reports nonsense":
		greet()
		conn.sendProgress([]byte("odd"))
		hang()
	case "starts another one":
		startOtherMachine()
	case "sends that it has started":
		fmt.Fprintln(channel, "started")
		hang()
	case "writes noise":
		fmt.Fprint(channel, "login: login: login: ")
		hang()
	}
	return 0
}

// bootFake boots a guest of fakeQEMU.
func bootFake(t *testing.T, ctx context.Context, how string, m *Machine, progress func([]byte) error) (GuestOutput, error) {
	t.Helper()
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
	g := &bootedGuest{Machine: m, release: testRelease, line: how, progress: progress, patience: patience, greeted: func() {}}
	return g.bootAndWait(ctx, TCG, empty, empty)
}

// A guest runs, and its machine ends.
func TestBootGuest(t *testing.T) {
	t.Parallel()
	var reports recordedReports
	output, err := bootFake(t, t.Context(), "runs", &Machine{}, reports.record)
	if err != nil || string(output.Result) != "the result" || len(reports) != 1 {
		t.Errorf("got %q, %v; reports %q", output.Result, err, reports)
	}
}

// The error of a guest explains its end.
func TestBootGuestErrors(t *testing.T) {
	t.Parallel()
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
		"reports nonsense": {want: "read from the guest: no report of ours"},
		"writes noise":     {want: `read from the guest: "login: lo" is not the start of a frame`},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			output, err := bootFake(t, t.Context(), how, &Machine{silence: c.silence, Timeout: c.timeout}, new(recordedReports).record)
			var guest *GuestError
			if !errors.As(err, &guest) || guest.Reason != c.want || len(guest.Console) != c.console || output.Result != nil {
				t.Errorf("got %v, %+v", output, err)
			}
		})
	}
}

// A guest ends with the context.
func TestBootGuestContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := func([]byte) error {
		cancel(errors.New("interrupted"))
		return nil
	}
	if _, err := bootFake(t, ctx, "talks on", &Machine{}, enough); err == nil || err.Error() != "interrupted" {
		t.Errorf("got %v", err)
	}
}

// A machine ends with the process that started it, even if that is killed.
func TestQEMUEndsWithParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "-append", "starts another one")
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
		t.Errorf("the machine still runs (%v)", err)
	}
}

// startOtherMachine starts a machine that hangs, prints its process, and hangs.
func startOtherMachine() {
	self, _ := os.Executable()
	empty, _ := newMemfd("nothing", func(io.Writer) error { return nil })
	q, err := startQEMU(self, []string{"-append", "sends that it has started"}, empty, empty)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = q.channel.Read(make([]byte, 1)) // the machine has started
	fmt.Printf("started %d\n", q.process.Pid)
	time.Sleep(time.Hour)
}
