package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ClientSession is the controller's side of a probe that sends requests.
type ClientSession struct{ *session }

// ServerSession is the controller's side of a probe that accepts connections.
type ServerSession struct {
	*session

	talk   sync.Mutex // one order at a time: KeepAwake sends orders as well
	failed error      // of an order: the next one would read its answer

	awake   sync.WaitGroup
	hangUp  chan struct{} // closed by Close; ends KeepAwake
	closing sync.Once
}

// Stream is a connection to a probe. Closing it ends the probe.
type Stream struct {
	Name string // of the probe, in errors
	In   io.Reader
	Out  io.Writer
	// Close also unblocks reading from In.
	Close func() error
	// ExitReason returns how a probe ended whose stream has ended: its exit code and
	// its last output. It may be nil.
	ExitReason func() string
	// IsStarved reports whether the probe waits for a CPU of this machine. It may be nil.
	IsStarved func() bool
}

// OpenClient waits for the hello of a client's probe.
func OpenClient(ctx context.Context, s Stream) (*ClientSession, error) {
	session, err := openSession(ctx, s, RoleClient)
	if err != nil {
		return nil, err
	}
	return &ClientSession{session}, nil
}

// OpenServer waits for the hello of a server's probe, and greets it.
func OpenServer(ctx context.Context, s Stream) (*ServerSession, error) {
	session, err := openSession(ctx, s, RoleServer)
	if err != nil {
		return nil, err
	}
	server := &ServerSession{session: session, hangUp: make(chan struct{})}
	if err := server.greet(ctx); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return server, nil
}

func (s *ServerSession) greet(ctx context.Context) error {
	answer, err := s.sendOrder(ctx, Message{Greet: &Greet{}})
	if err == nil && answer.Ready == nil {
		err = fmt.Errorf("%s: did not greet back", s.Name)
	}
	return err
}

// sendOrder sends an order and waits for its answer.
func (s *ServerSession) sendOrder(ctx context.Context, order Message) (Message, error) {
	s.talk.Lock()
	defer s.talk.Unlock()
	if s.failed != nil {
		return Message{}, s.failed
	}
	answer, err := s.request(ctx, answerLimit, order)
	s.failed = err
	return answer, err
}

// KeepAwakeInterval is the time between two greetings of KeepAwake.
const KeepAwakeInterval = 20 * time.Second

// KeepAwake greets the server every KeepAwakeInterval until Close: `snatlab serve`
// ends the run of a controller that sends no order for long. The next order returns
// the error of a greeting.
func (s *ServerSession) KeepAwake() {
	s.awake.Go(func() {
		tick := time.NewTicker(KeepAwakeInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if s.greet(context.Background()) != nil { // bounded by answerLimit
					return
				}
			case <-s.hangUp:
				return
			}
		}
	})
}

// Close ends the session and the probe.
func (s *ServerSession) Close() error {
	s.closing.Do(func() { close(s.hangUp) })
	err := s.session.Close()
	s.awake.Wait()
	return err
}

// Share returns an error if the client cannot map the file of the barrier. The
// client can still be used then.
func (c *ClientSession) Share(ctx context.Context, barrier string) error {
	answer, err := c.request(ctx, answerLimit, Message{Share: &Share{Barrier: barrier}})
	if err == nil && answer.Shared == nil {
		err = fmt.Errorf("%s: did not confirm that it can map the barrier", c.Name)
	}
	return err
}

// Run has the client send a load, and waits for its report.
func (c *ClientSession) Run(ctx context.Context, load ClientLoad) (*Report, error) {
	return c.RunUntil(ctx, load, nil, nil)
}

// RunUntil is Run for a load with Announce. It calls waiting for each announcement of the
// client. When end is closed, the client gives up the requests that got no answer so far.
func (c *ClientSession) RunUntil(ctx context.Context, load ClientLoad, end <-chan struct{}, waiting func(Waiting)) (*Report, error) {
	if err := c.sendRequest(Message{Run: &load}); err != nil {
		return nil, err
	}
	begun, limit := time.Now(), load.TimeLimit(c.Hello.Files)
	var answer Message
	for answered := false; !answered; {
		m, err := c.awaitAnswerOr(ctx, end, begun, limit)
		switch {
		case err == errEnd:
			end = nil
			err = c.writeRequest(Message{End: &End{}})
		case err == nil && m.Waiting != nil && load.Announce:
			if err = m.Waiting.checkAgainst(load); err == nil && waiting != nil {
				waiting(*m.Waiting)
			} else if err != nil {
				err = fmt.Errorf("%s: %w", c.Name, err)
			}
		case err == nil:
			answer, answered = m, true
			err = c.checkError(m)
		}
		if err != nil {
			return nil, err
		}
	}
	if answer.Report == nil {
		return nil, fmt.Errorf("%s: did not answer with a report", c.Name)
	}
	if err := answer.Report.CheckAgainst(load); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return answer.Report, nil
}

// Listen has the server open the port of a trial, and that of its control unless it
// is 0.
func (s *ServerSession) Listen(ctx context.Context, order Listen) error {
	answer, err := s.sendOrder(ctx, Message{Listen: &order})
	if err == nil && answer.Ready == nil {
		err = fmt.Errorf("%s: did not confirm that it listens", s.Name)
	}
	return err
}

// Finish has the server close its open ports, and returns what it counted.
func (s *ServerSession) Finish(ctx context.Context) (*Served, error) {
	answer, err := s.sendOrder(ctx, Message{Finish: &Finish{}})
	if err != nil {
		return nil, err
	}
	if answer.Served == nil {
		return nil, fmt.Errorf("%s: did not answer with what it served", s.Name)
	}
	if err := answer.Served.checkCounts(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return answer.Served, nil
}

// answerLimit bounds the wait for an answer, except for that to a load.
const answerLimit = 20 * time.Second

// session sends requests to one probe and reads its answers. It is for one goroutine
// at a time.
type session struct {
	Stream
	Hello Hello

	answers chan Message  // closed when the stream has ended
	closed  chan struct{} // closed by Close: the reader of answers ends
	ended   error         // why the stream ended; to be read when answers is closed
}

// openSession starts to read answers, and waits for a hello of the right role.
func openSession(ctx context.Context, stream Stream, role string) (*session, error) {
	s := &session{Stream: stream, answers: make(chan Message), closed: make(chan struct{})}
	go s.readAnswers()
	m, err := s.awaitAnswer(ctx, answerLimit)
	if err == nil {
		err = s.checkError(m)
	}
	if err == nil {
		if err = m.Hello.checkRole(role); err != nil {
			err = fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Hello = *m.Hello
	return s, nil
}

// readAnswers reads answers until the stream ends.
func (s *session) readAnswers() {
	defer close(s.answers)
	for line, err := range ReadLines(s.In, maxAnswer) {
		var m Message
		if err == nil {
			m, err = ParseMessage(line)
		}
		if err != nil {
			s.ended = err
			return
		}
		select {
		case s.answers <- m:
		case <-s.closed:
			return
		}
	}
}

// request sends a request and waits for its answer. After an error the session must
// not be used: an answer that is late would be read as the answer to the next request.
func (s *session) request(ctx context.Context, limit time.Duration, request Message) (Message, error) {
	if err := s.sendRequest(request); err != nil {
		return Message{}, err
	}
	m, err := s.awaitAnswer(ctx, limit)
	if err == nil {
		err = s.checkError(m)
	}
	return m, err
}

// sendRequest sends a request, unless the probe has ended or has sent a message without
// being asked: that message is not the answer.
func (s *session) sendRequest(request Message) error {
	select {
	case m, ok := <-s.answers:
		_, err := s.checkAlive(m, ok)
		if err == nil {
			err = fmt.Errorf("%s: sent a message without being asked", s.Name)
		}
		return err
	default:
	}
	return s.writeRequest(request)
}

func (s *session) writeRequest(request Message) error {
	request.V = Version
	line, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	if _, err := s.Out.Write(append(line, '\n')); err != nil {
		return s.deathError(err)
	}
	return nil
}

// checkError returns the error that a probe answered with.
func (s *session) checkError(m Message) error {
	if m.Error != "" {
		return fmt.Errorf("%s: %s", s.Name, printableWords(m.Error))
	}
	return nil
}

// awaitAnswer returns the next message, or an error after limit.
func (s *session) awaitAnswer(ctx context.Context, limit time.Duration) (Message, error) {
	return s.awaitAnswerOr(ctx, nil, time.Now(), limit)
}

// errEnd is the error of awaitAnswerOr when its channel was closed.
var errEnd = errors.New("the wait for answers is to end")

// awaitAnswerOr returns the next message, or errEnd if end is closed before, or another
// error when limit has passed since begun.
func (s *session) awaitAnswerOr(ctx context.Context, end <-chan struct{}, begun time.Time, limit time.Duration) (Message, error) {
	late := time.NewTimer(time.Until(begun.Add(limit)))
	defer late.Stop()
	select {
	case m, ok := <-s.answers:
		return s.checkAlive(m, ok)
	case <-end:
		return Message{}, errEnd
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	case <-late.C:
	}
	select {
	case m, ok := <-s.answers: // this process was late: it was stopped for a while
		return s.checkAlive(m, ok)
	default:
		return Message{}, s.silenceError(limit)
	}
}

// silenceError returns the error of a probe that does not answer.
func (s *session) silenceError(limit time.Duration) error {
	why := "stopped, or hung?"
	if s.IsStarved != nil && s.IsStarved() {
		why = "it waits for a CPU: this machine is too busy"
	}
	return fmt.Errorf("%s: no answer within %v (%s)", s.Name, limit, why)
}

// checkAlive returns a message that was received, or an error if the stream has ended.
func (s *session) checkAlive(m Message, ok bool) (Message, error) {
	if !ok {
		return Message{}, s.deathError(s.ended)
	}
	return m, nil
}

// deathError returns the error of a probe that has ended, with the reason.
func (s *session) deathError(err error) error {
	how := "its stream ended"
	if err != nil {
		how = err.Error()
	}
	if s.ExitReason != nil {
		how += "; " + printableWords(s.ExitReason())
	}
	return fmt.Errorf("%s died: %s", s.Name, how)
}

// Close ends the session and the probe.
func (s *session) Close() error {
	select {
	case <-s.closed:
		return nil
	default:
		close(s.closed)
	}
	err := s.Stream.Close()
	for range s.answers { // until the reader has ended
	}
	return err
}
