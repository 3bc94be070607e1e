package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab/netns"
	"snatlab/harness/report/live"
	"snatlab/harness/result/watched"
	"snatlab/harness/watch"
)

// watchFlags are the flags of `snatlab watch`.
type watchFlags struct {
	netns    string
	lab      string
	interval time.Duration
	once     bool
	json     bool
}

func watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch [-]",
		Short: "Watch the conntrack counters of this host, and what they mean",
		Long: `Watch conntrack and NAT of this host, of another network namespace or of the router
of a lab: the counters of each CPU and their rates, the entries and their limit, the
rules that translate sources, the destinations with the most entries, and what a
rising counter means. Nothing is changed, and no module is loaded.

Any user sees the counters. Rules, destinations and other namespaces need root.

With the argument -, counters are read from standard input instead: the output of
conntrack -S or the text of /proc/net/stat/nf_conntrack, once or several times.

On a terminal the screen is repainted at each interval, until q or Ctrl-C. Otherwise,
and on a terminal of type dumb, it prints a line at each interval. NO_COLOR turns
colours off.

Exit codes: 0 ended by q or Ctrl-C, or printed; 2 wrong command line, or text that is
no counters; 3 there is no conntrack, the namespace has ended, or it may not be read.`,
		Example: `  snatlab watch
  snatlab watch --netns 4711
  snatlab watch --once --json
  conntrack -S | snatlab watch -`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return usageError{c, err}
			}
			if len(args) > 0 {
				return f.interpret(c, os.Stdin)
			}
			return f.watch()
		},
	}
	c.Flags().StringVar(&f.netns, "netns", "", "watch the network namespace of a process, or of a file: PID, /run/netns/NAME")
	c.Flags().StringVar(&f.lab, "lab", "", "watch the router of a lab: the run of a lab that was kept, or the PID of a run in network namespaces")
	c.Flags().DurationVar(&f.interval, "interval", time.Second, "time between two readings, 100ms or more")
	c.Flags().BoolVar(&f.once, "once", false, "print one screen, after one interval")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON (snatlab.watch/v1): one line at each interval, or one object with --once or -")
	return c
}

// leastInterval bounds the cost of reading the counters.
const leastInterval = 100 * time.Millisecond

func (f watchFlags) check(args []string) error {
	switch {
	case len(args) > 0 && args[0] != "-":
		return fmt.Errorf("watch: unexpected argument %q; allowed: - for standard input", args[0])
	case len(args) > 0 && (f.netns != "" || f.lab != ""):
		return errors.New("watch: - reads standard input; --netns and --lab name a namespace")
	case f.netns != "" && f.lab != "":
		return errors.New("watch: --netns and --lab exclude each other")
	case f.interval < leastInterval:
		return fmt.Errorf("--interval %v: allowed: %v or more", f.interval, leastInterval)
	}
	return nil
}

// interpret says what the counters mean that another program printed.
func (f watchFlags) interpret(c *cobra.Command, in io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(in, conntrack.MaxText+1))
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	w, err := watch.Interpret(string(text))
	if err != nil {
		return usageError{c, fmt.Errorf("standard input: %w", err)}
	}
	return f.print(w)
}

// openSource opens what is watched.
func (f watchFlags) openSource() (*watch.Source, error) {
	switch {
	case f.lab != "":
		return openRouter(f.lab)
	case f.netns == "":
		return watch.Host(), nil
	}
	if pid, err := strconv.Atoi(f.netns); err == nil {
		return watch.OpenProcess(pid)
	}
	return watch.OpenFile(f.netns)
}

// openRouter opens the router of a lab, by its run or by the process that holds it. The
// router of a lab on Docker is the host.
func openRouter(lab string) (s *watch.Source, err error) {
	if pid, atoiErr := strconv.Atoi(lab); atoiErr == nil {
		thread, err := netns.FindRouterThread(pid)
		if err != nil {
			return nil, err
		}
		s, err = watch.OpenProcess(thread)
		if err != nil {
			return nil, err
		}
	} else {
		path, err := netns.FindKeptRouter(lab)
		switch {
		case err != nil:
			return nil, err
		case path == "":
			s = watch.Host()
		default:
			if s, err = watch.OpenFile(path); err != nil {
				return nil, err
			}
		}
	}
	s.Target.Kind, s.Target.Name = watched.Lab, lab
	return s, nil
}

func (f watchFlags) watch() (err error) {
	s, err := f.openSource()
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, endSignals()...)
	go func() { // ends with the process
		if s := (<-signals).(unix.Signal); s != unix.SIGINT {
			cancel(exitCode(128 + int(s)))
		}
		cancel(errEnded)
	}()
	if f.once {
		w, err := watch.Once(ctx, s, f.interval)
		if err != nil {
			return f.endOf(ctx, err)
		}
		return f.print(w)
	}
	show, end, err := f.openOutput(func() { cancel(errEnded) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }() // a panic as well
	return f.endOf(ctx, watch.Run(ctx, s, f.interval, show))
}

// errEnded is the cause of a watch that the user has ended.
var errEnded = errors.New("ended by the user")

// endOf returns the error of a watch: none if the user has ended it.
func (watchFlags) endOf(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errEnded):
		return nil
	case cause != nil:
		return cause
	}
	return err
}

// openOutput opens the screen or the log of a watch. End closes it.
func (f watchFlags) openOutput(ended func()) (show func(*watched.State) error, end func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case f.json:
		e := json.NewEncoder(os.Stdout)
		return func(w *watched.State) error { return e.Encode(w) }, nothing, nil
	case canOverwrite(os.Stdout):
		t, err := live.OpenTerminal(os.Stdout, os.Stdin, hasColour(), ended)
		if err != nil {
			return nil, nil, err
		}
		return t.Show, t.Close, nil
	}
	width := 0
	if term.IsTerminal(int(os.Stdout.Fd())) {
		width = widthOf(os.Stdout)
	}
	return live.NewLog(os.Stdout, width).Show, nothing, nil
}

// print prints one screen, or JSON.
func (f watchFlags) print(w *watched.State) error {
	if f.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(w)
	}
	return live.WriteScreen(os.Stdout, w, widthOf(os.Stdout), canOverwrite(os.Stdout) && hasColour())
}

// widthOf returns the width of a terminal; 80 for a file.
func widthOf(file *os.File) int {
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// hasColour reports whether the user wants colours (https://no-color.org).
func hasColour() bool { return os.Getenv("NO_COLOR") == "" }
