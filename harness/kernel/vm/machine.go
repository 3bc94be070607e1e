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

// Machine is what guests are booted in.
type Machine struct {
	QEMU    string // its path
	Accel   string // Auto, KVM or TCG
	CPUs    int
	Memory  int           // MiB
	Timeout time.Duration // of a guest, from power on to its last word

	works   accelChoice
	silence time.Duration // zero: guestSilence
}

// guestSilence is how long a guest may say nothing. It says something every
// alivePeriod, but not before its kernel is up, which takes 3 s of emulation on a
// quiet machine.
const guestSilence = 60 * time.Second

// Init is the first process of a guest: this very program, see [RunInit].
type Init struct {
	Args  []string          // after its name
	Env   []string          // NAME=VALUE
	Files map[string][]byte // what it finds there, by path
}

// GuestOutput is what came of a guest.
type GuestOutput struct {
	Result  []byte   // what the work of the guest returned: input from outside
	Accel   string   // what ran it, KVM or TCG: with an error, too
	Console []string // the last lines of its kernel's console
}

// GuestError is why a guest gave no result.
type GuestError struct {
	Reason  string   // in one sentence
	Console []string // the last lines of its kernel's console
}

func (f *GuestError) Error() string { return f.Reason }

// Boot boots a kernel and waits for the result of the guest. progress is given what
// it reports on the way; an error of it ends the guest. That a guest gave no result
// is a *Fault; other errors are of the context.
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
	var try bootFunc = func(accel string, patience time.Duration, greeted func()) (GuestOutput, error) {
		g := &bootedGuest{Machine: m, release: k.Release, line: kernelCommandLine(init), progress: progress,
			patience: cmp.Or(patience, m.silence, guestSilence), greeted: greeted}
		o, err := g.bootAndWait(ctx, accel, image, initrd)
		o.Accel = accel
		return o, err
	}
	if m.Accel == Auto {
		return m.works.bootGuest(ctx, try)
	}
	return try(m.Accel, 0, func() {})
}

// writeInitramfs packs this very program as init.
func writeInitramfs(w io.Writer, k *kernel.Kernel, init Init) error {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer program.Close()
	return k.WriteInitramfs(w, program, kernel.RequiredModules, init.Files)
}

// bootedGuest is one guest, from power on to its end.
type bootedGuest struct {
	*Machine
	release  string
	line     string // the kernel's command line
	progress func([]byte) error
	patience time.Duration // until the first word
	greeted  func()
}

// bootAndWait boots the guest, and ends it whatever happens.
func (g *bootedGuest) bootAndWait(ctx context.Context, accel string, image, initrd *os.File) (GuestOutput, error) {
	q, err := startQEMU(g.QEMU, qemuArguments(accel, g.CPUs, g.Memory, g.line), image, initrd)
	if err != nil {
		return GuestOutput{}, err
	}
	defer q.channel.Close()
	defer q.kill()
	told, err := g.awaitOutcome(ctx, q)
	switch {
	case ctx.Err() != nil:
		return GuestOutput{}, context.Cause(ctx)
	case err != nil:
		return GuestOutput{}, g.explainError(q, err)
	case told.failure != "":
		reason, stack, _ := strings.Cut(told.failure, "\n")
		return GuestOutput{}, &GuestError{q.console.explainEnd("in the guest: " + reason), slices.Concat(q.console.lastLines(), slices.Collect(strings.Lines(stack)))}
	}
	return GuestOutput{Result: told.result, Console: q.console.lastLines()}, nil
}

// awaitOutcome listens until the guest has said its last word, or there is no more hope
// for one.
func (g *bootedGuest) awaitOutcome(ctx context.Context, q *qemuProcess) (told guestOutcome, err error) {
	heard := make(chan struct{}, 1)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		told, err = readOutcome(q.channel, g.release, g.progress, g.greeted, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	hopeless := g.watchMachine(ctx, q, heard, listened)
	if hopeless == nil {
		<-listened
		return told, err
	}
	q.kill()
	q.channel.Close() // which a process that cannot be killed holds
	<-listened
	return guestOutcome{}, hopeless
}

// watchMachine waits for the guest, and says why there is nothing to wait for any more;
// nil if there is no need to.
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
			// This process may have been stopped meanwhile, and not the guest.
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

// explainError says what ended a guest. Its kernel's own words come first.
func (g *bootedGuest) explainError(q *qemuProcess, err error) *GuestError {
	byItself := err == errNoOutcome || err == errNoHello
	if byItself {
		<-q.ended // with a status of its own
	} else {
		q.kill()
	}
	reason := err.Error()
	if byItself && q.err != nil {
		reason = "QEMU ended with " + q.err.Error()
		if said := strings.Join(q.stderr.lastLines(), "; "); said != "" {
			reason += ": " + said
		}
	}
	return &GuestError{q.console.explainEnd(reason), q.console.lastLines()}
}
