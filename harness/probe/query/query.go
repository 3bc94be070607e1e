// Package query makes and reads the DNS messages of look-ups: the queries of a client, and
// their answers by the lab's server.
//
// A look-up asks for the A and the AAAA records of one name. The name holds the number of
// the look-up and of its client ("00000042.client-1.snatlab.test."), so a query differs
// from those of all other look-ups and clients, and so does its answer, which repeats it.
// The addresses in the answers end with the number of the look-up.
package query

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// domain ends all names. The top-level domain test is reserved (RFC 6761).
const domain = ".snatlab.test."

const (
	// digits is the length of the first label of a name.
	digits = 8
	// MaxNumber bounds the numbers of look-ups: those of a client in a trial, and of its control.
	MaxNumber = 1 << 17
	// MaxSize bounds the size of a message of a look-up, in bytes.
	MaxSize = 128
)

// The addresses in answers begin like these. Both networks are reserved for benchmarks
// (RFC 2544, RFC 5180); the first has as many addresses as there are numbers.
var (
	firstA    = net.IPv4(198, 18, 0, 0)
	firstAAAA = net.ParseIP("2001:2::")
)

// Query is the query for one kind of records, with the answer to it. Only the number
// differs from one look-up to the next, so it is written into the same messages.
type Query struct {
	message, answer []byte
	kind            uint32 // 0: A, 1: AAAA
	base            uint32 // the last four bytes of the address in the answer to number 0
}

// NewPair returns the queries of a client for A and for AAAA records.
func NewPair(client int) (pair [2]*Query, err error) {
	for kind, of := range []uint16{dns.TypeA, dns.TypeAAAA} {
		var m dns.Msg
		m.SetQuestion(fmt.Sprintf("%0*d.client-%d%s", digits, 0, client, domain), of)
		q := &Query{kind: uint32(kind)}
		if q.message, err = m.Pack(); err != nil {
			return pair, fmt.Errorf("write a DNS query: %w", err)
		}
		if q.answer = Answer(q.message); q.answer == nil {
			return pair, fmt.Errorf("client %d: its DNS query has no answer", client)
		}
		q.base = binary.BigEndian.Uint32(q.answer[len(q.answer)-4:])
		pair[kind] = q
	}
	return pair, nil
}

// Write returns the query of a look-up. It is overwritten by the next call.
func (q *Query) Write(number uint32) []byte {
	q.number(q.message, number)
	return q.message
}

// IsAnswer reports whether a message is the answer to the query of a look-up.
func (q *Query) IsAnswer(message []byte, number uint32) bool {
	return bytes.Equal(message, q.Answer(number))
}

// Answer returns the answer to the query of a look-up. It is overwritten by the next call.
func (q *Query) Answer(number uint32) []byte {
	q.number(q.answer, number)
	binary.BigEndian.PutUint32(q.answer[len(q.answer)-4:], q.base+number)
	return q.answer
}

// number writes the number of a look-up into a message: as its ID, together with the kind,
// and into the first label of the name, which follows the header of 12 bytes.
func (q *Query) number(message []byte, number uint32) {
	binary.BigEndian.PutUint16(message, uint16(2*number+q.kind))
	const label = 12 + 1
	for i := label + digits - 1; i >= label; i-- {
		message[i] = byte('0' + number%10)
		number /= 10
	}
}

// Answer returns the answer to a query; nil for a message that is not the query of a
// look-up.
func Answer(message []byte) []byte {
	var m dns.Msg
	if err := m.Unpack(message); err != nil || m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return nil
	}
	asked := m.Question[0]
	number, ok := parseName(asked.Name)
	if !ok || asked.Qclass != dns.ClassINET {
		return nil
	}
	head := dns.RR_Header{Name: asked.Name, Rrtype: asked.Qtype, Class: dns.ClassINET, Ttl: 0}
	var record dns.RR
	switch asked.Qtype {
	case dns.TypeA:
		record = &dns.A{Hdr: head, A: addNumber(firstA.To4(), number)}
	case dns.TypeAAAA:
		record = &dns.AAAA{Hdr: head, AAAA: addNumber(firstAAAA, number)}
	default:
		return nil
	}
	reply := new(dns.Msg).SetReply(&m)
	reply.Compress, reply.Answer = true, []dns.RR{record}
	answer, err := reply.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// parseName returns the number of the look-up in a name.
func parseName(name string) (number uint32, ok bool) {
	first, rest, _ := strings.Cut(name, ".client-")
	client, ok := strings.CutSuffix(rest, domain)
	n, err := strconv.ParseUint(first, 10, 32)
	c, errClient := strconv.ParseUint(client, 10, 8)
	ok = ok && err == nil && len(first) == digits && n < MaxNumber && errClient == nil && strconv.FormatUint(c, 10) == client
	return uint32(n), ok
}

// addNumber returns the address that is so many after the first one.
func addNumber(first net.IP, number uint32) net.IP {
	address := bytes.Clone(first)
	last := address[len(address)-4:]
	binary.BigEndian.PutUint32(last, binary.BigEndian.Uint32(last)+number)
	return address
}
