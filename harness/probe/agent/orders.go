package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"sync"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load"
)

// orders are the lines of a controller. One is read when it is asked for, and not before:
// a server's controller has a deadline for each order, which begins with the answer to the
// one before.
type orders struct {
	want  chan struct{}
	got   chan order // has room for one; closed at the end of the stream
	asked bool       // for an order that was not taken yet
	kept  *order     // that was taken while a load was sent
}

// order is a line, or the error that ended the stream.
type order struct {
	line []byte
	err  error
}

// readOrders returns the orders of a stream. A goroutine reads it, which ends at stop, or
// with the stream if it waits for a line then.
func readOrders(in io.Reader) *orders {
	o := &orders{want: make(chan struct{}), got: make(chan order, 1)}
	go func() {
		defer close(o.got)
		if _, ok := <-o.want; !ok {
			return
		}
		for line, err := range probe.ReadLines(in, probe.MaxOrder) {
			o.got <- order{bytes.Clone(line), err}
			if _, ok := <-o.want; !ok {
				return
			}
		}
	}()
	return o
}

func (o *orders) stop() { close(o.want) }

// ask has the next order read.
func (o *orders) ask() {
	if !o.asked && o.kept == nil {
		o.asked = true
		select {
		case o.want <- struct{}{}:
		case got, ok := <-o.got: // the stream has ended
			o.take(got, ok)
		}
	}
}

// take keeps an order that was received. ok is false at the end of the stream.
func (o *orders) take(got order, ok bool) {
	if !ok {
		got.err = io.EOF
	}
	o.asked, o.kept = false, &got
}

// next waits for the next order and returns it; io.EOF at the end of the stream.
func (o *orders) next() ([]byte, error) {
	if o.ask(); o.kept == nil {
		got, ok := <-o.got
		o.take(got, ok)
	}
	next := o.kept
	o.kept = nil
	return next.line, next.err
}

// sendLoad sends a load. Meanwhile the controller may order that the client gives up its
// unanswered requests. Any other order is kept for later.
func (a *Agent) sendLoad(l probe.ClientLoad, orders *orders, answers *json.Encoder) (*probe.Report, error) {
	if !l.Announce {
		return load.Send(context.Background(), l, a.cpus, a.files, nil)
	}
	ctx, end := context.WithCancel(context.Background())
	sent := make(chan struct{})
	var watch sync.WaitGroup
	defer watch.Wait()
	defer close(sent)
	orders.ask()
	watch.Go(func() {
		defer end()
		select {
		case got, ok := <-orders.got:
			if orders.take(got, ok); isEnd(orders.kept) {
				orders.kept = nil
				return
			}
			<-sent
		case <-sent:
		}
	})
	return load.Send(ctx, l, a.cpus, a.files, func(w probe.Waiting) error {
		return answers.Encode(probe.Message{V: probe.Version, Waiting: &w})
	})
}

// isEnd reports whether an order is an [probe.End].
func isEnd(o *order) bool {
	if o.err != nil {
		return false
	}
	m, err := probe.ParseMessage(o.line)
	return err == nil && m.End != nil
}
