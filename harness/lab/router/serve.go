package router

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
	"snatlab/harness/probe/agent"
)

// maxOrder bounds one order, in bytes: the source ports of all clients in a trial.
const maxOrder = 4 << 20

// ServeStdio serves a controller over standard input and output until its input ends, it
// is told to stop or gets SIGTERM, and restores the node. Root is where the file system of
// the node is mounted: from then on the agent is in it, with the node's programs and
// folders. Root may be empty. Changes that are left are an *undo.LeftError.
func ServeStdio(root string) error {
	if root != "" {
		err := os.Chdir(root)
		if err == nil {
			err = unix.Chroot(".")
		}
		if err != nil {
			return fmt.Errorf("enter the node's file system at %s: %w", root, err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	return Serve(ctx, os.Stdin, os.Stdout, &Agent{})
}

// Serve serves a controller over a stream.
func Serve(ctx context.Context, in io.Reader, out io.Writer, a *Agent) (err error) {
	defer func() { err = errors.Join(err, a.restoreNode(context.WithoutCancel(ctx))) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := readLines(ctx, in)
	answers := json.NewEncoder(out)
	wait := cmp.Or(a.Patience, patience)
	idle := time.NewTimer(wait)
	for greeted := false; ; {
		idle.Reset(wait)
		select {
		case line, ok := <-lines:
			if !ok {
				return nil
			}
			if !greeted {
				err, greeted = greet(line, answers), true
			} else {
				err = a.answer(ctx, line, answers)
			}
			if err != nil || a.ended {
				return err
			}
		case <-idle.C:
			if greeted {
				return fmt.Errorf("no order came for %v: the controller is stopped, or cannot be reached", wait)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// readLines sends the lines of a stream. It closes the channel at the end of the stream;
// an error of reading is the end as well.
func readLines(ctx context.Context, in io.Reader) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for line, err := range probe.ReadLines(in, maxOrder) {
			if err != nil {
				return
			}
			select {
			case lines <- bytes.Clone(line):
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// greet answers the first line, which must be a greeting.
func greet(line []byte, answers *json.Encoder) error {
	m := probe.Message{V: probe.Version}
	err := agent.CheckGreeting(line)
	if err != nil {
		m.Error = err.Error()
	} else {
		m.Hello = &probe.Hello{Role: probe.RoleRouter, Files: 1}
		for cpu := range min(runtime.NumCPU(), 1024) {
			m.Hello.CPUs = append(m.Hello.CPUs, cpu)
		}
	}
	return errors.Join(err, answers.Encode(m))
}

// answer executes one order. It returns an error if the stream is broken.
func (a *Agent) answer(ctx context.Context, line []byte, answers *json.Encoder) error {
	m := probe.Message{V: probe.Version}
	order, err := probe.ParseMessage(line)
	if err == nil && order.Router == nil {
		err = errors.New("a router cannot answer this request")
	}
	if err == nil {
		m.Routed, err = a.execute(ctx, *order.Router)
	}
	if err != nil {
		m.Routed, m.Error = nil, err.Error()
	}
	return answers.Encode(m)
}
