package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
)

// A line without an end is refused, and takes no more memory than the longest line that
// is allowed.
func TestEndlessLine(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := OpenClient(t.Context(), Stream{Name: "client 0", In: endless('['), Out: io.Discard, Close: func() error { return nil }})
	runtime.ReadMemStats(&after)
	if fmt.Sprint(err) != "client 0 died: a line is too long: more than 2097152 bytes" {
		t.Error(err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}

// endless is a stream of one byte.
type endless byte

func (b endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

const clientHello = `{"v":7,"hello":{"role":"client","cpus":[0],"files":99}}` + "\n"

// An answer must fit the request.
func TestWrongAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer string
		ask    func(context.Context, *ClientSession) error
		want   string
	}{
		{`{"v":7,"ready":{}}`, shareBarrier, "client 0: did not confirm that it can map the barrier"},
		{`{"v":7,"shared":{}}`, runLoad, "client 0: did not answer with a report"},
		{`{"v":7,"waiting":{"arm":1,"control":0}}`, runLoad, "client 0: did not answer with a report"},
		{`{"v":7,"waiting":{"arm":3,"control":0}}`, announceLoad, "client 0: waiting: 3 of 2 requests unanswered, and 0 of 0 of the control"},
		{`{"v":7,"waiting":{"arm":0,"control":-1}}`, announceLoad, "client 0: waiting: 0 of 2 requests unanswered, and -1 of 0 of the control"},
		{`{"v":7,"run":{}}`, runLoad, "client 0: did not answer with a report"},
		{`{"v":7,"error":"\u001b[2J\u0007over"}`, runLoad, "client 0: ?[2J?over"},
		{`{"v":7,"error":"` + strings.Repeat("x", 10_000) + `"}`, runLoad, "client 0: " + strings.Repeat("x", maxWords) + "..."},
		{`{"v":7,"served":{"accepted":1e30}}`, runLoad, `client 0 died: a message that this snatlab cannot read (json: cannot unmarshal number 1e30 into Go struct field Served.served.Server.accepted of type uint64): "{\"v\":7,\"served\":{\"accepted\":1e30}}"`},
	} {
		requests, in := io.Pipe()
		out, answers := io.Pipe()
		go func() {
			fmt.Fprint(answers, clientHello)
			requests.Read(make([]byte, MaxOrder))
			fmt.Fprintln(answers, test.answer)
		}()
		c, err := OpenClient(t.Context(), Stream{Name: "client 0", In: out, Out: in, Close: out.Close})
		if err != nil {
			t.Fatal(err)
		}
		if err := test.ask(t.Context(), c); fmt.Sprint(err) != test.want {
			t.Errorf("%.60s: %v, want %s", test.answer, err, test.want)
		}
		c.Close()
	}
}

func shareBarrier(ctx context.Context, c *ClientSession) error { return c.Share(ctx, "/dev/shm/x") }

func announceLoad(ctx context.Context, c *ClientSession) error {
	_, err := c.Run(ctx, ClientLoad{Requests: 2, Announce: true})
	return err
}

func runLoad(ctx context.Context, c *ClientSession) error {
	_, err := c.Run(ctx, ClientLoad{Requests: 1})
	return err
}

// A message that was sent before the request is not used as its answer.
func TestUnaskedAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, answers := io.Pipe()
		go fmt.Fprint(answers, clientHello+`{"v":7,"shared":{}}`+"\n")
		c, err := OpenClient(t.Context(), Stream{Name: "client 0", In: out, Out: io.Discard, Close: out.Close})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait() // until it is there
		if err := shareBarrier(t.Context(), c); fmt.Sprint(err) != "client 0: sent a message without being asked" {
			t.Error(err)
		}
	})
}

// A stream that does not begin with the hello of a client is refused.
func TestOpenClientRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ says, want string }{
		{"", "client 0 died: its stream ended; exit code 1"},
		{"Connection: close\n", `client 0 died: not a message: "Connection: close"; exit code 1`},
		{`{"v":1,"hello":{}}` + "\n", "client 0 died: protocol version 1, this is 7: both sides must be the same snatlab; exit code 1"},
		{`{"v":7,"hello":{"role":"server","cpus":[0],"files":9}}` + "\n", "client 0: is not a snatlab client"},
		{`{"v":7,"hello":{"role":"client","cpus":[],"files":9}}` + "\n", "client 0: reports 0 CPUs and 9 files"},
		{strings.Repeat("x", maxAnswer+1), "client 0 died: a line is too long: more than 2097152 bytes; exit code 1"},
	} {
		in := strings.NewReader(test.says)
		_, err := OpenClient(t.Context(), Stream{Name: "client 0", In: in, Out: io.Discard,
			Close: func() error { return nil }, ExitReason: func() string { return "exit code 1" }})
		if fmt.Sprint(err) != test.want {
			t.Errorf("%.40q: %v, want %s", test.says, err, test.want)
		}
	}
}

// The wait for a hello ends with its context.
func TestOpenClientContext(t *testing.T) {
	t.Parallel()
	silent, w := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	_, err := OpenClient(ctx, Stream{Name: "client 0", In: silent, Out: io.Discard, Close: w.Close})
	if fmt.Sprint(err) != "interrupted" {
		t.Errorf("%v", err)
	}
}

// A probe that does not answer has stopped, or has no CPU.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		isStarved func() bool
		why       string
	}{
		{nil, "stopped, or hung?"},
		{func() bool { return false }, "stopped, or hung?"},
		{func() bool { return true }, "it waits for a CPU: this machine is too busy"},
	} {
		synctest.Test(t, func(t *testing.T) {
			in, w := io.Pipe()
			_, err := OpenClient(t.Context(), Stream{Name: "client 0", In: in, Out: io.Discard, Close: w.Close, IsStarved: test.isStarved})
			if fmt.Sprint(err) != "client 0: no answer within 20s ("+test.why+")" {
				t.Error(err)
			}
		})
	}
}
