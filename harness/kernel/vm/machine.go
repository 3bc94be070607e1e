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

	works   virtualisation
	silence time.Duration // zero: guestSilence
}

// guestSilence is how long a guest may say nothing. It says something every
// alivePeriod, but not before its kernel is up, which takes 3 s of emulation on a
// quiet machine.
const guestSilence = 60 * time.Second

// Init is the first process of a guest: this very program, see [Guest].
type Init struct {
	Args  []string          // after its name
	Env   []string          // NAME=VALUE
	Files map[string][]byte // what it finds there, by path
}

// Outcome is what came of a guest.
type Outcome struct {
	Result  []byte   // what the work of the guest returned: input from outside
	Accel   string   // what ran it, KVM or TCG: with an error, too
	Console []string // the last lines of its kernel's console
}

// Fault is why a guest gave no result.
type Fault struct {
	Reason  string   // in one sentence
	Console []string // the last lines of its kernel's console
}

func (f *Fault) Error() string { return f.Reason }

// Boot boots a kernel and waits for the result of the guest. progress is given what
// it reports on the way; an error of it ends the guest. That a guest gave no result
// is a *Fault; other errors are of the context.
func (m *Machine) Boot(ctx context.Context, k *kernel.Kernel, init Init, progress func([]byte) error) (Outcome, error) {
	image, err := nameless("kernel", func(w io.Writer) error { _, err := w.Write(k.Image()); return err })
	if err != nil {
		return Outcome{}, err
	}
	defer image.Close()
	initrd, err := nameless("initramfs", func(w io.Writer) error { return writeInitramfs(w, k, init) })
	if err != nil {
		return Outcome{}, &Fault{Reason: err.Error()}
	}
	defer initrd.Close()
	var try boot = func(accel string, patience time.Duration, greeted func()) (Outcome, error) {
		g := &guestRun{Machine: m, release: k.Release, line: commandLine(init), progress: progress,
			patience: cmp.Or(patience, m.silence, guestSilence), greeted: greeted}
		o, err := g.run(ctx, accel, image, initrd)
		o.Accel = accel
		return o, err
	}
	if m.Accel == Auto {
		return m.works.try(ctx, try)
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
	return k.Initramfs(w, program, kernel.RequiredModules, init.Files)
}

// guestRun is one guest, from power on to its end.
type guestRun struct {
	*Machine
	release  string
	line     string // the kernel's command line
	progress func([]byte) error
	patience time.Duration // until the first word
	greeted  func()
}

// run boots the guest, and ends it whatever happens.
func (g *guestRun) run(ctx context.Context, accel string, image, initrd *os.File) (Outcome, error) {
	q, err := startQEMU(g.QEMU, arguments(accel, g.CPUs, g.Memory, g.line), image, initrd)
	if err != nil {
		return Outcome{}, err
	}
	defer q.channel.Close()
	defer q.kill()
	told, err := g.follow(ctx, q)
	switch {
	case ctx.Err() != nil:
		return Outcome{}, context.Cause(ctx)
	case err != nil:
		return Outcome{}, g.fault(q, err)
	case told.failure != "":
		reason, stack, _ := strings.Cut(told.failure, "\n")
		return Outcome{}, &Fault{q.console.explain("in the guest: " + reason), slices.Concat(q.console.tail(), slices.Collect(strings.Lines(stack)))}
	}
	return Outcome{Result: told.result, Console: q.console.tail()}, nil
}

// follow listens until the guest has said its last word, or there is no more hope
// for one.
func (g *guestRun) follow(ctx context.Context, q *qemu) (told account, err error) {
	heard := make(chan struct{}, 1)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		told, err = listen(q.channel, g.release, g.progress, g.greeted, func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		})
	}()
	hopeless := g.wait(ctx, q, heard, listened)
	if hopeless == nil {
		<-listened
		return told, err
	}
	q.kill()
	q.channel.Close() // which a process that cannot be killed holds
	<-listened
	return account{}, hopeless
}

// wait waits for the guest, and says why there is nothing to wait for any more;
// nil if there is no need to.
func (g *guestRun) wait(ctx context.Context, q *qemu, heard, listened <-chan struct{}) error {
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
			return errSilent
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fault says what ended a guest. Its kernel's own words come first.
func (g *guestRun) fault(q *qemu, err error) *Fault {
	byItself := err == errSilent || err == errMute
	if byItself {
		<-q.ended // with a status of its own
	} else {
		q.kill()
	}
	reason := err.Error()
	if byItself && q.err != nil {
		reason = "QEMU ended with " + q.err.Error()
		if said := strings.Join(q.words.tail(), "; "); said != "" {
			reason += ": " + said
		}
	}
	return &Fault{q.console.explain(reason), q.console.tail()}
}
