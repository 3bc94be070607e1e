// Command snatlab makes Linux lose connections to the source-port race of source NAT
// on purpose, and measures the effect of mitigations.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"snatlab/harness/undo"
)

func init() {
	// The main goroutine runs on the first thread of the process. No other goroutine
	// may use that thread: a thread that enters another namespace is destroyed, and
	// the first thread cannot be.
	runtime.LockOSThread()
	// If Go's runtime gets no memory or no thread, it ends the program with status 2,
	// which is bad usage here. With this setting the program ends by SIGABRT.
	debug.SetTraceback("crash")
}

func main() { os.Exit(run(os.Args[1:])) }

// run is main without the exit.
func run(args []string) (code int) {
	if isBisect(args) {
		defer func() { code = bisectCode(code) }()
	}
	// Before a panic comes here, the host was restored, as far as possible.
	defer func() {
		if p := recover(); p != nil {
			err := errors.Join(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), leftBehind(undo.Dir))
			printError(err)
			code = codeOf(err)
		}
	}()
	// The folders of iptables: cron and a plain su leave them out.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	root := rootCommand()
	root.SetArgs(args)
	err := root.Execute()
	printError(err)
	return codeOf(err)
}

// leftBehind returns an error about the changes that were not undone because of a
// panic. The original error is lost in the panic.
func leftBehind(dir string) error {
	var left []undo.Left
	for _, s := range undo.UnfinishedSteps(dir) {
		left = append(left, undo.Left{Step: s, Err: errors.New("not undone before the panic ended the run")})
	}
	if left == nil {
		return nil
	}
	return &undo.LeftError{Left: left}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "snatlab",
		Short: "Make the source-port race of Linux' source NAT happen, and compare mitigations",
		Long: `snatlab makes Linux lose connections to the source-port race of source NAT, on
purpose and in seconds, and measures the effect of mitigations.

To begin: "snatlab run quickstart" runs a ready scenario, as any user; "snatlab init"
writes one of your own; "snatlab docs" lists the pages of the documentation.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(explainFlagError)
	root.AddCommand(runCommand(), calibrateCommand(), planCommand(), reportCommand(), doctorCommand(), cleanupCommand(),
		initCommand(), scenariosCommand(), explainCommand(), schemaCommand(), docsCommand(), serveCommand(), imageCommand(), nightlyCommand(), matrixCommand(), fleetCommand(), historyCommand(), compareCommand(), watchCommand(), versionCommand(), probeCommand(), guestCommand())
	// Cobra adds these commands when it reads the command line. They are checked like
	// the others.
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		setHelp(help)
	}
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		describeCompletion(completion)
	}
	setCompletions(root)
	checkUsage(root)
	return root
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal unix.Signal }

func (i interrupted) Error() string { return "interrupted by " + unix.SignalName(i.signal) }

// endSignals returns the signals that ask the program to end. Under nohup, SIGHUP is
// ignored and not among them. A shell ignores SIGINT for background commands, but
// SIGINT may still be sent on purpose, so it always is among them.
func endSignals() []os.Signal {
	asked := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		asked = append(asked, unix.SIGHUP)
	}
	return asked
}

// runInterruptible runs do with a context that ends at the first signal that asks the
// program to end. From then on such signals are ignored, also by the programs that it
// starts, because the host is being restored.
func runInterruptible(do func(context.Context) error) error {
	asked := endSignals()
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, asked...)
	// If the reader of the output ends, this program must not end in the middle of its
	// work. With this, writing fails with EPIPE instead.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case s := <-signals:
			signal.Ignore(asked...)
			cancel(interrupted{s.(unix.Signal)})
			fmt.Fprintf(os.Stderr, "\nsnatlab: %v: stopping and restoring the host\n", s)
		case <-ctx.Done():
		}
	})
	defer wait.Wait()
	defer cancel(nil)
	return withCause(ctx, do(ctx))
}

// withCause returns err. If ctx has ended, its cause replaces the errors that it
// explains.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil || err == nil || errors.As(err, new(interrupted)) {
		return err
	}
	return errors.Join(context.Cause(ctx), unexplainedErrors(err))
}

// unexplainedErrors returns the errors joined to err that the end of a context does
// not explain.
func unexplainedErrors(err error) error {
	return errors.Join(slices.DeleteFunc(splitJoined(err), func(e error) bool {
		_, only := e.(exitCode)
		return only || errors.Is(e, context.Canceled)
	})...)
}
