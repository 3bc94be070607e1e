package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// RouterSession is the controller's side of the agent on a machine that translates. Its
// orders may come from several goroutines.
type RouterSession struct {
	*session

	talk   sync.Mutex // one order at a time
	failed error      // of an order: the next one would read its answer
}

// OpenRouter waits for the hello of an agent on a machine that translates.
func OpenRouter(ctx context.Context, s Stream) (*RouterSession, error) {
	session, err := openSession(ctx, s, RoleRouter)
	if err != nil {
		return nil, err
	}
	return &RouterSession{session: session}, nil
}

// Ask sends an order and reads the values of its answer. The agent may refuse it with a
// [*RefusedError]; after any other error the session has failed.
func (r *RouterSession) Ask(ctx context.Context, limit time.Duration, order string, values, answer any) error {
	raw, err := json.Marshal(values)
	if err != nil {
		return fmt.Errorf("%s: write order %s: %w", r.Name, order, err)
	}
	r.talk.Lock()
	defer r.talk.Unlock()
	switch {
	case r.failed != nil:
		return r.failed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	m, err := r.send(ctx, limit, Message{Router: &Routing{Order: order, Values: raw}})
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused
	}
	if err == nil && (m.Routed == nil || m.Routed.Order != order) {
		err = fmt.Errorf("%s: did not answer the order %s", r.Name, order)
	}
	if err == nil && json.Unmarshal(m.Routed.Values, answer) != nil {
		err = fmt.Errorf("%s: an answer to the order %s that this snatlab cannot read", r.Name, order)
	}
	r.failed = err
	return err
}

// send sends an order and waits for its answer.
func (r *RouterSession) send(ctx context.Context, limit time.Duration, order Message) (Message, error) {
	if err := r.sendRequest(order); err != nil {
		return Message{}, err
	}
	m, err := r.awaitAnswer(context.WithoutCancel(ctx), limit) // an answer that is not read would be taken for the next one
	if err == nil && m.Error != "" {
		err = &RefusedError{Probe: r.Name, Words: printableWords(m.Error)}
	}
	return m, err
}

// Failed returns the error after which no order is sent any more, or nil.
func (r *RouterSession) Failed() error {
	r.talk.Lock()
	defer r.talk.Unlock()
	return r.failed
}

// RefusedError is an order that a probe has understood and could not execute.
type RefusedError struct{ Probe, Words string }

func (e *RefusedError) Error() string { return e.Probe + ": " + e.Words }
