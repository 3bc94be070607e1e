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

// Client is the controller's side of a probe that sends requests.
type Client struct{ *session }

// Server is the controller's side of a probe that is connected to.
type Server struct {
	*session

	talk   sync.Mutex // one exchange at a time: KeepAwake has its own
	failed error      // of an exchange: the next would read its answer

	awake   sync.WaitGroup
	hangUp  chan struct{} // closed by Close: KeepAwake ends
	closing sync.Once
}

// Stream connects to a probe. Close ends it, and with it the probe.
type Stream struct {
	Name string // of the probe, in errors
	In   io.Reader
	Out  io.Writer
	// Close unblocks reading from In.
	Close func() error
	// Obituary says how a probe ended whose stream has: exit code, last
	// output. May be nil.
	Obituary func() string
}

// OpenClient waits for the probe's hello.
func OpenClient(ctx context.Context, s Stream) (*Client, error) {
	session, err := open(ctx, s, RoleClient)
	if err != nil {
		return nil, err
	}
	return &Client{session}, nil
}

// OpenServer waits for the probe's hello, and greets it.
func OpenServer(ctx context.Context, s Stream) (*Server, error) {
	session, err := open(ctx, s, RoleServer)
	if err != nil {
		return nil, err
	}
	server := &Server{session: session, hangUp: make(chan struct{})}
	if err := server.greet(ctx); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return server, nil
}

func (s *Server) greet(ctx context.Context) error {
	answer, err := s.exchange(ctx, Message{Greet: &Greet{}})
	if err == nil && answer.Ready == nil {
		err = fmt.Errorf("%s: did not greet back", s.Name)
	}
	return err
}

// exchange sends an order and waits for its answer.
func (s *Server) exchange(ctx context.Context, order Message) (Message, error) {
	s.talk.Lock()
	defer s.talk.Unlock()
	if s.failed != nil {
		return Message{}, s.failed
	}
	answer, err := s.call(ctx, answerTime, order)
	s.failed = err
	return answer, err
}

// KeepAwakeInterval is the time between two greetings of KeepAwake.
const KeepAwakeInterval = 20 * time.Second

// KeepAwake greets the server from time to time until Close: `snatlab serve` ends
// the run of a controller that is silent for long. An error of a greeting is
// returned by the next order.
func (s *Server) KeepAwake() {
	s.awake.Go(func() {
		tick := time.NewTicker(KeepAwakeInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if s.greet(context.Background()) != nil { // bounded by answerTime
					return
				}
			case <-s.hangUp:
				return
			}
		}
	})
}

// Close ends the conversation, and with it the probe.
func (s *Server) Close() error {
	s.closing.Do(func() { close(s.hangUp) })
	err := s.session.Close()
	s.awake.Wait()
	return err
}

// Share looks whether the client can map the file that clients meet in. That
// it cannot is told by the error; the client goes on.
func (c *Client) Share(ctx context.Context, barrier string) error {
	answer, err := c.call(ctx, answerTime, Message{Share: &Share{Barrier: barrier}})
	if err == nil && answer.Shared == nil {
		err = fmt.Errorf("%s: answered without saying that it shares", c.Name)
	}
	return err
}

// Run sends a load and waits for what comes of it.
func (c *Client) Run(ctx context.Context, load Load) (*Report, error) {
	answer, err := c.call(ctx, load.TimeLimit(c.Hello.Files), Message{Run: &load})
	if err != nil {
		return nil, err
	}
	if answer.Report == nil {
		return nil, fmt.Errorf("%s: answered without a report", c.Name)
	}
	if err := answer.Report.Check(load); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return answer.Report, nil
}

// Listen opens a port.
func (s *Server) Listen(ctx context.Context, port uint16) error {
	answer, err := s.exchange(ctx, Message{Listen: &Listen{Port: port}})
	if err == nil && answer.Ready == nil {
		err = fmt.Errorf("%s: answered without saying that it listens", s.Name)
	}
	return err
}

// Finish closes the port that is open.
func (s *Server) Finish(ctx context.Context) (*Served, error) {
	answer, err := s.exchange(ctx, Message{Finish: &Finish{}})
	if err != nil {
		return nil, err
	}
	if answer.Served == nil {
		return nil, fmt.Errorf("%s: answered without saying what it served", s.Name)
	}
	if err := answer.Served.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return answer.Served, nil
}

// answerTime bounds the exchanges that need no load to be sent.
const answerTime = 20 * time.Second

// session is one conversation. It is for one goroutine at a time.
type session struct {
	Stream
	Hello Hello

	answers chan Message  // closed when the stream has ended
	closed  chan struct{} // closed by Close: nobody listens any more
	ended   error         // what ended the stream; to be read when answers is closed
}

// open starts to listen, and waits for a hello of the right role.
func open(ctx context.Context, stream Stream, role string) (*session, error) {
	s := &session{Stream: stream, answers: make(chan Message), closed: make(chan struct{})}
	go s.listen()
	m, err := s.await(ctx, answerTime)
	if err == nil {
		if err = m.Hello.check(role); err != nil {
			err = fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.Hello = *m.Hello
	return s, nil
}

// listen reads answers until the stream ends.
func (s *session) listen() {
	defer close(s.answers)
	for line, err := range Lines(s.In, maxAnswer) {
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

// call sends a request and waits for its answer. After an error the session is
// of no more use: an answer that comes too late would be taken for the next.
func (s *session) call(ctx context.Context, limit time.Duration, request Message) (Message, error) {
	request.V = Version
	line, err := json.Marshal(request)
	if err != nil {
		return Message{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	// What has come already is not the answer: the stream has ended, or the
	// probe speaks out of turn.
	select {
	case m, ok := <-s.answers:
		if m, err = s.heard(m, ok); err == nil {
			err = fmt.Errorf("%s: speaks without being asked", s.Name)
		}
		return m, err
	default:
	}
	if _, err := s.Out.Write(append(line, '\n')); err != nil {
		return Message{}, s.died(err)
	}
	m, err := s.await(ctx, limit)
	if err == nil && m.Error != "" {
		err = fmt.Errorf("%s: %s", s.Name, printableWords(m.Error))
	}
	return m, err
}

func (s *session) await(ctx context.Context, limit time.Duration) (Message, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case m, ok := <-s.answers:
		return s.heard(m, ok)
	case <-ctx.Done():
		return Message{}, context.Cause(ctx)
	case <-late.C:
	}
	select {
	case m, ok := <-s.answers: // it was us who were late: stopped for a while
		return s.heard(m, ok)
	default:
		return Message{}, fmt.Errorf("%s: no answer within %v (stopped, or hung?)", s.Name, limit)
	}
}

// heard is an answer, or the end of the stream.
func (s *session) heard(m Message, ok bool) (Message, error) {
	if !ok {
		return Message{}, s.died(s.ended)
	}
	return m, nil
}

// died says that the probe is gone, and how.
func (s *session) died(err error) error {
	how := "its stream ended"
	if err != nil {
		how = err.Error()
	}
	if s.Obituary != nil {
		how += "; " + printableWords(s.Obituary())
	}
	return fmt.Errorf("%s died: %s", s.Name, how)
}

// Close ends the conversation, and with it the probe.
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
