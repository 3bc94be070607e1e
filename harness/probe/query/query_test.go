package query

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

// What a client writes is a query as the library reads it, and the server's answer to it is
// the one that the client expects, and no other.
func TestQuery(t *testing.T) {
	t.Parallel()
	for _, client := range []int{0, 7, 63} {
		pair, err := NewPair(client)
		if err != nil {
			t.Fatal(err)
		}
		for kind, q := range pair {
			for _, number := range []uint32{0, 1, 42, 65_535, MaxNumber - 1} {
				message := q.Write(number)
				if len(message) > MaxSize {
					t.Errorf("a query of %d bytes", len(message))
				}
				answer := Answer(message)
				if !q.IsAnswer(answer, number) || len(answer) > MaxSize {
					t.Errorf("client %d, number %d, kind %d: the answer is not recognised", client, number, kind)
				}
				if q.IsAnswer(answer, number^1) || q.IsAnswer(answer[:len(answer)-1], number) || pair[1-kind].IsAnswer(answer, number) || q.IsAnswer(message, number) {
					t.Errorf("client %d, number %d, kind %d: recognised as another answer", client, number, kind)
				}
			}
		}
	}
}

// An answer holds the address whose last bits are the number of the look-up.
func TestAddresses(t *testing.T) {
	t.Parallel()
	pair, err := NewPair(1)
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range []string{"198.19.0.5", "2001:2::1:5"} {
		var m dns.Msg
		if err := m.Unpack(Answer(pair[kind].Write(65_541))); err != nil || !m.Response || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
			t.Fatalf("%v: %v", err, m)
		}
		if name := m.Answer[0].Header().Name; name != "00065541.client-1.snatlab.test." {
			t.Errorf("name %s", name)
		}
		var got net.IP
		switch record := m.Answer[0].(type) {
		case *dns.A:
			got = record.A
		case *dns.AAAA:
			got = record.AAAA
		}
		if got.String() != want {
			t.Errorf("address %v, want %s", got, want)
		}
	}
}

// Messages that are no queries of look-ups get no answer: answers to them could go on for
// ever between two servers, or go to a stranger.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	pair, err := NewPair(1)
	if err != nil {
		t.Fatal(err)
	}
	good := pair[0].Write(42)
	ask := func(name string, of, class uint16, change func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetQuestion(name, of)
		m.Question[0].Qclass = class
		change(m)
		message, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	const name = "00000042.client-1.snatlab.test."
	none := func(*dns.Msg) {}
	if Answer(ask(name, dns.TypeA, dns.ClassINET, none)) == nil {
		t.Error("a query has no answer")
	}
	for what, message := range map[string][]byte{
		"nothing":           nil,
		"a cut one":         good[:len(good)-3],
		"a header":          good[:12],
		"an answer":         Answer(good),
		"another type":      ask(name, dns.TypeMX, dns.ClassINET, none),
		"another class":     ask(name, dns.TypeA, dns.ClassCHAOS, none),
		"another domain":    ask("00000042.client-1.example.org.", dns.TypeA, dns.ClassINET, none),
		"no number":         ask("0000004x.client-1.snatlab.test.", dns.TypeA, dns.ClassINET, none),
		"a short number":    ask("42.client-1.snatlab.test.", dns.TypeA, dns.ClassINET, none),
		"a large number":    ask("00131072.client-1.snatlab.test.", dns.TypeA, dns.ClassINET, none),
		"no client":         ask("00000042.snatlab.test.", dns.TypeA, dns.ClassINET, none),
		"another operation": ask(name, dns.TypeA, dns.ClassINET, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }),
		"two questions":     ask(name, dns.TypeA, dns.ClassINET, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
		"no question":       ask(name, dns.TypeA, dns.ClassINET, func(m *dns.Msg) { m.Question = nil }),
	} {
		if got := Answer(message); got != nil {
			t.Errorf("%s was answered by %q", what, got)
		}
	}
}

// A server answers what anybody sends, and does not end by it.
func FuzzAnswer(f *testing.F) {
	pair, err := NewPair(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte(nil), pair[0].Write(42)...))
	f.Add(append([]byte(nil), pair[1].Write(42)...))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, message []byte) {
		if answer := Answer(message); answer != nil && Answer(answer) != nil {
			t.Errorf("%q: the answer is answered", message)
		}
	})
}
