// Command snatlab makes Linux lose connections to the source-port race of
// source NAT, on purpose, and measures what a mitigation does about it.
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
	// The main goroutine is the process' first thread. No other may use it: one that
	// enters another namespace is thrown away, which the first cannot be.
	runtime.LockOSThread()
	// Go's runtime ends a program that it cannot give memory or a thread with status
	// 2, which is bad usage here. This way it ends by SIGABRT.
	debug.SetTraceback("crash")
}

func main() { os.Exit(run(os.Args[1:])) }

// run is main without the exit.
func run(args []string) (code int) {
	// A panic has put the host back on its way here, or has tried to.
	defer func() {
		if p := recover(); p != nil {
			err := errors.Join(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), leftBehind(undo.Dir))
			printError(err)
			code = codeOf(err)
		}
	}()
	// Where iptables is; cron and a plain su leave it out.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	root := rootCommand()
	root.SetArgs(args)
	err := root.Execute()
	printError(err)
	return codeOf(err)
}

// leftBehind reports what a panic kept from being undone. The error that said so
// is lost.
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
		Short: "Make the source-port race of Linux' source NAT happen, and compare what stops it",
		Long: `snatlab makes Linux lose connections to the source-port race of source NAT, on
purpose and in seconds, and measures what a mitigation does about it.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(explainFlagError)
	root.AddCommand(runCommand(), calibrateCommand(), planCommand(), reportCommand(), doctorCommand(), cleanupCommand(),
		serveCommand(), nightlyCommand(), matrixCommand(), historyCommand(), compareCommand(), versionCommand(), probeCommand(), guestCommand())
	// Cobra adds these when the command line is read. They are checked like others.
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

// endSignals lists the signals that ask the program to end. nohup ignores the
// hang-up for us. (That a shell ignores SIGINT for what it runs in the
// background is another matter: it may still be sent on purpose.)
func endSignals() []os.Signal {
	asked := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) {
		asked = append(asked, unix.SIGHUP)
	}
	return asked
}

// runInterruptible runs do with a context that ends at the first signal that asks
// the program to end. From then on such signals are ignored, by the programs
// that it starts as well: the host is being put back.
func runInterruptible(do func(context.Context) error) error {
	asked := endSignals()
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, asked...)
	// A reader of our output that goes away must not end us in the middle:
	// writing then fails with EPIPE.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case s := <-signals:
			signal.Ignore(asked...)
			cancel(interrupted{s.(unix.Signal)})
			fmt.Fprintf(os.Stderr, "\nsnatlab: %v: stopping, and leaving everything as it was\n", s)
		case <-ctx.Done():
		}
	})
	defer wait.Wait()
	defer cancel(nil)
	return withCause(ctx, do(ctx))
}

// withCause returns err with what ended ctx, if it has ended, in place of the
// errors that this explains.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil || err == nil || errors.As(err, new(interrupted)) {
		return err
	}
	return errors.Join(context.Cause(ctx), unexplainedErrors(err))
}

// unexplainedErrors returns of the errors that were joined to err those that the end of a
// context does not explain.
func unexplainedErrors(err error) error {
	return errors.Join(slices.DeleteFunc(splitJoined(err), func(e error) bool {
		_, only := e.(exitCode)
		return only || errors.Is(e, context.Canceled)
	})...)
}
