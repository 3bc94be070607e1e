package vm

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"snatlab/harness/kernel"
)

// Machine is the hardware of a guest.
type Machine struct {
	QEMU    string // the path of the program
	Accel   string // Auto, KVM or TCG
	CPUs    int
	Memory  int           // MiB
	Timeout time.Duration // of a guest, from power on to its last frame

	works   accelChoice
	silence time.Duration // zero: guestSilence
}

// guestSilence is how long a guest may send nothing. It sends a frame each alivePeriod
// once its kernel is up, which takes 3 s of emulation on a quiet machine.
const guestSilence = 60 * time.Second

// Init is the first process of a guest: this program, which calls [RunInit].
type Init struct {
	Args  []string          // the arguments, without the name of the program
	Env   []string          // NAME=VALUE
	Files map[string][]byte // the files in the initramfs, by path
}

// GuestOutput is the output of a guest.
type GuestOutput struct {
	Result  []byte   // returned by GuestWork; input from outside
	Accel   string   // KVM or TCG; also set with an error
	Console []string // the last lines of its kernel's console
}

// GuestError is the reason why a guest sent no result.
type GuestError struct {
	Reason  string   // in one sentence
	Console []string // the last lines of its kernel's console
}

// Error returns the reason.
func (f *GuestError) Error() string { return f.Reason }

// Boot boots a kernel and waits for the result of the guest. It calls progress with
// each report of the guest; an error of progress ends the guest. A guest without a
// result is a *GuestError; other errors are the cause of ctx, or of this machine.
func (m *Machine) Boot(ctx context.Context, k *kernel.Kernel, init Init, progress func([]byte) error) (GuestOutput, error) {
	image, err := newMemfd("kernel", func(w io.Writer) error { _, err := w.Write(k.Image); return err })
	if err != nil {
		return GuestOutput{}, err
	}
	defer image.Close()
	initrd, err := newMemfd("initramfs", func(w io.Writer) error { return writeInitramfs(w, k, init) })
	if err != nil {
		return GuestOutput{}, &GuestError{Reason: err.Error()}
	}
	defer initrd.Close()
	var boot bootFunc = func(accel string, patience time.Duration, greeted func()) (GuestOutput, error) {
		g := &bootedGuest{Machine: m, release: k.Release, line: kernelCommandLine(init), progress: progress,
			patience: cmp.Or(patience, m.silence, guestSilence), greeted: greeted}
		o, err := g.bootAndWait(ctx, accel, image, initrd)
		o.Accel = accel
		return o, err
	}
	if m.Accel == Auto {
		return m.works.bootGuest(ctx, boot)
	}
	return boot(m.Accel, 0, func() {})
}

// writeInitramfs writes an initramfs whose init is this program.
func writeInitramfs(w io.Writer, k *kernel.Kernel, init Init) error {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer program.Close()
	return k.WriteInitramfs(w, program, kernel.GuestModules, init.Files)
}

// bootedGuest is a guest from power on to its end.
type bootedGuest struct {
	*Machine
	release  string
	line     string // the kernel's command line
	progress func([]byte) error
	patience time.Duration // until the greeting
	greeted  func()
}

// bootAndWait boots the guest, waits for its outcome, and ends its machine.
func (g *bootedGuest) bootAndWait(ctx context.Context, accel string, image, initrd *os.File) (GuestOutput, error) {
	q, err := startQEMU(g.QEMU, qemuArguments(accel, g.CPUs, g.Memory, g.line), image, initrd)
	if err != nil {
		return GuestOutput{}, err
	}
	defer q.channel.Close()
	defer q.kill()
	outcome, err := g.awaitOutcome(ctx, q)
	switch {
	case ctx.Err() != nil:
		return GuestOutput{}, context.Cause(ctx)
	case err != nil:
		return GuestOutput{}, g.explainError(q, err)
	case outcome.failure != "":
		reason, stack, _ := strings.Cut(outcome.failure, "\n")
		return GuestOutput{}, &GuestError{q.console.explainEnd("in the guest: " + reason), slices.Concat(q.console.lastLines(), slices.Collect(strings.Lines(stack)))}
	}
	return GuestOutput{Result: outcome.result, Console: q.console.lastLines()}, nil
}

// awaitOutcome reads until the guest has sent its last frame, or until watchMachine
// returns why none will come.
func (g *bootedGuest) awaitOutcome(ctx context.Context, q *qemuProcess) (outcome guestOutcome, err error) {
	heard := make(chan struct{}, 1)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		outcome, err = readOutcome(q.channel, g.release, g.progress, g.greeted, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	hopeless := g.watchMachine(ctx, q, heard, listened)
	if hopeless == nil {
		<-listened
		return outcome, err
	}
	q.kill()
	q.channel.Close() // a process that cannot be killed keeps its end open
	<-listened
	return guestOutcome{}, hopeless
}

// watchMachine waits for the end of readOutcome and returns nil. If no outcome will
// come, it returns why.
func (g *bootedGuest) watchMachine(ctx context.Context, q *qemuProcess, heard, listened <-chan struct{}) error {
	all := time.NewTimer(g.Timeout)
	defer all.Stop()
	patience := g.patience
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for {
		select {
		case <-listened:
			return nil
		case <-heard:
			patience = cmp.Or(g.silence, guestSilence)
			quiet.Reset(patience)
		case <-quiet.C:
			// This process may have been stopped while the guest was running.
			select {
			case <-heard:
				quiet.Reset(patience)
			case <-listened:
				return nil
			case <-time.After(time.Second):
				return fmt.Errorf("the guest said nothing for %v", patience)
			}
		case <-all.C:
			return fmt.Errorf("the guest was not done after %v (--timeout)", g.Timeout)
		case <-q.console.halted:
			return errNoOutcome
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// explainError returns why a guest ended. An explanation of its kernel takes
// precedence.
func (g *bootedGuest) explainError(q *qemuProcess, err error) *GuestError {
	byItself := err == errNoOutcome || err == errNoHello
	if byItself {
		<-q.ended // QEMU has its own exit status
	} else {
		q.kill()
	}
	reason := err.Error()
	if byItself && q.err != nil {
		reason = "QEMU ended with " + q.err.Error()
		if stderr := strings.Join(q.stderr.lastLines(), "; "); stderr != "" {
			reason += ": " + stderr
		}
	}
	return &GuestError{q.console.explainEnd(reason), q.console.lastLines()}
}
