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

// An endless line takes no more memory than the longest that is allowed.
func TestALineWithoutAnEndIsRefusedInLittleMemory(t *testing.T) {
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

const hello = `{"v":3,"hello":{"role":"client","cpus":[0],"files":99}}` + "\n"

func TestAnAnswerMustBeToTheQuestion(t *testing.T) {
	for _, test := range []struct {
		answer string
		ask    func(context.Context, *ClientSession) error
		want   string
	}{
		{`{"v":3,"ready":{}}`, share, "client 0: did not confirm that it can map the barrier"},
		{`{"v":3,"shared":{}}`, run, "client 0: did not answer with a report"},
		{`{"v":3,"run":{}}`, run, "client 0: did not answer with a report"},
		{`{"v":3,"error":"\u001b[2J\u0007over"}`, run, "client 0: ?[2J?over"},
		{`{"v":3,"error":"` + strings.Repeat("x", 10_000) + `"}`, run, "client 0: " + strings.Repeat("x", maxWords) + "..."},
		{`{"v":3,"served":{"accepted":1e30}}`, run, `client 0 died: a message that this snatlab cannot read (json: cannot unmarshal number 1e30 into Go struct field Served.served.Server.accepted of type uint64): "{\"v\":3,\"served\":{\"accepted\":1e30}}"`},
	} {
		requests, in := io.Pipe()
		out, answers := io.Pipe()
		go func() {
			fmt.Fprint(answers, hello)
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

func share(ctx context.Context, c *ClientSession) error { return c.Share(ctx, "/dev/shm/x") }

func run(ctx context.Context, c *ClientSession) error {
	_, err := c.Run(ctx, ClientLoad{Requests: 1})
	return err
}

// What is said before it was asked for is not taken for the answer.
func TestAProbeThatSpeaksOutOfTurnIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, answers := io.Pipe()
		go fmt.Fprint(answers, hello+`{"v":3,"shared":{}}`+"\n")
		c, err := OpenClient(t.Context(), Stream{Name: "client 0", In: out, Out: io.Discard, Close: out.Close})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait() // until it is there
		if err := share(t.Context(), c); fmt.Sprint(err) != "client 0: sent a message without being asked" {
			t.Error(err)
		}
	})
}

func TestAProbeThatIsNoneIsRefused(t *testing.T) {
	for _, test := range []struct{ says, want string }{
		{"", "client 0 died: its stream ended; exit code 1"},
		{"Connection: close\n", `client 0 died: not a message: "Connection: close"; exit code 1`},
		{`{"v":1,"hello":{}}` + "\n", "client 0 died: protocol version 1, this is 3: both sides must be the same snatlab; exit code 1"},
		{`{"v":3,"hello":{"role":"server","cpus":[0],"files":9}}` + "\n", "client 0: is not a snatlab client"},
		{`{"v":3,"hello":{"role":"client","cpus":[],"files":9}}` + "\n", "client 0: reports 0 CPUs and 9 files"},
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

func TestAWaitEndsWithItsContext(t *testing.T) {
	silent, w := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	_, err := OpenClient(ctx, Stream{Name: "client 0", In: silent, Out: io.Discard, Close: w.Close})
	if fmt.Sprint(err) != "interrupted" {
		t.Errorf("%v", err)
	}
}
