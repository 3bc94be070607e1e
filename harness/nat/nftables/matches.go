package nftables

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

func nativeUint32(data []byte) uint32 { return binary.NativeEndian.Uint32(data) }

// describeMatches returns the conditions of a rule as nft prints them, each with a space
// after it. Conditions that it cannot read are "..." together.
func describeMatches(exprs []expr.Any) string {
	var m matches
	for _, e := range exprs {
		m.add(e)
	}
	m.flush()
	var text strings.Builder
	for i, word := range m.words {
		if i == 0 || word != unreadMatch || m.words[i-1] != unreadMatch {
			text.WriteString(word + " ")
		}
	}
	return text.String()
}

const unreadMatch = "..."

// matches reads conditions: something is loaded, perhaps masked, and compared.
type matches struct {
	words  []string
	loaded string // what the register holds; empty: nothing
	isName bool   // of an interface
	length uint32 // in bytes
	mask   []byte
}

func (m *matches) add(e expr.Any) {
	switch e := e.(type) {
	case *expr.Payload:
		m.load(payloadName(e), e.Len)
	case *expr.Meta:
		m.load(metaNames[e.Key], 0)
		m.isName = e.Key == expr.MetaKeyOIFNAME || e.Key == expr.MetaKeyIIFNAME
	case *expr.Bitwise:
		m.mask = e.Mask
	case *expr.Cmp:
		m.compare(e)
	case *expr.Counter, *expr.Immediate, *expr.Masq, *expr.NAT, *expr.Target, *expr.Verdict:
	default:
		m.words, m.loaded = append(m.words, unreadMatch), ""
	}
}

// flush ends a condition that was loaded and not compared.
func (m *matches) flush() {
	if m.loaded != "" {
		m.words = append(m.words, unreadMatch)
	}
	m.loaded, m.mask, m.isName = "", nil, false
}

func (m *matches) load(name string, length uint32) {
	m.flush()
	if name == "" {
		name = unreadMatch
	}
	m.loaded, m.length = name, length
}

func (m *matches) compare(c *expr.Cmp) {
	operator := map[expr.CmpOp]string{expr.CmpOpEq: "", expr.CmpOpNeq: "!= ", expr.CmpOpLt: "< ", expr.CmpOpLte: "<= ", expr.CmpOpGt: "> ", expr.CmpOpGte: ">= "}[c.Op]
	value, ok := m.value(c.Data)
	switch {
	case m.loaded == "":
	case m.loaded == unreadMatch, !ok:
		m.words = append(m.words, unreadMatch)
	default:
		m.words = append(m.words, m.loaded+" "+operator+value)
	}
	m.loaded, m.mask, m.isName = "", nil, false
}

// value returns what a register is compared with, as nft prints it.
func (m *matches) value(data []byte) (text string, ok bool) {
	switch {
	case m.isName && bytes.IndexByte(data, 0) < 0:
		return fmt.Sprintf("%q", string(data)+"*"), true // the beginning of a name
	case m.isName:
		return fmt.Sprintf("%q", string(bytes.TrimRight(data, "\x00"))), true
	case strings.HasSuffix(m.loaded, "addr"):
		return m.network(data)
	case strings.HasSuffix(m.loaded, "port") && len(data) == 2 && m.mask == nil:
		return fmt.Sprint(binary.BigEndian.Uint16(data)), true
	case m.loaded == "meta nfproto" && len(data) == 1:
		return familyName(data[0]), true
	case m.loaded == "meta l4proto" && len(data) == 1:
		return protocolName(data[0]), true
	case m.loaded == "meta mark" && len(data) == 4 && m.mask == nil:
		return fmt.Sprintf("%#x", nativeUint32(data)), true
	}
	return "", false
}

// network returns an address or a network. Of a network whose prefix ends with a byte,
// only these bytes are loaded.
func (m *matches) network(data []byte) (text string, ok bool) {
	size := 4
	if strings.HasPrefix(m.loaded, "ip6") {
		size = 16
	}
	prefix := 8 * len(data)
	if m.mask != nil {
		prefix = 0
		for _, b := range m.mask {
			prefix += bits.OnesCount8(b)
		}
	}
	address, ok := netip.AddrFromSlice(append(bytes.Clone(data), make([]byte, max(0, size-len(data)))...))
	if !ok || prefix > 8*size {
		return "", false
	}
	if prefix == 8*size {
		return address.String(), true
	}
	return netip.PrefixFrom(address, prefix).String(), true
}

func familyName(number byte) string {
	switch number {
	case unix.NFPROTO_IPV4:
		return "ipv4"
	case unix.NFPROTO_IPV6:
		return "ipv6"
	}
	return fmt.Sprint(number)
}

func protocolName(number byte) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	}
	return fmt.Sprint(number)
}

var metaNames = map[expr.MetaKey]string{
	expr.MetaKeyOIFNAME: "oifname", expr.MetaKeyIIFNAME: "iifname", expr.MetaKeyL4PROTO: "meta l4proto", expr.MetaKeyMARK: "meta mark",
	expr.MetaKeyNFPROTO: "meta nfproto",
}

// payloadName returns the name of a field of a header, or an empty text.
func payloadName(e *expr.Payload) string {
	switch {
	case e.Base == expr.PayloadBaseTransportHeader && e.Len == 2 && e.Offset == portField:
		return "th sport"
	case e.Base == expr.PayloadBaseTransportHeader && e.Len == 2 && e.Offset == portField+2:
		return "th dport"
	case e.Base != expr.PayloadBaseNetworkHeader:
		return ""
	case e.Offset == header4.source && e.Len <= 4:
		return "ip saddr"
	case e.Offset == header4.destination && e.Len <= 4:
		return "ip daddr"
	case e.Offset == header6.source && e.Len > 4:
		return "ip6 saddr"
	case e.Offset == header6.destination && e.Len > 4:
		return "ip6 daddr"
	}
	return ""
}
