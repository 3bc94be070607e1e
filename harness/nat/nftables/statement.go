package nftables

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
)

// FormatStatement returns the action of a rule with these options as nft prints
// it.
func FormatStatement(o snat.Options) string {
	text := "counter masquerade"
	switch {
	case o.PerMillion != 0:
		text = fmt.Sprintf("%s%d %s", numgenText, o.PerMillion, text)
	case o.ToPorts != snat.PortRange{}:
		text = "meta l4proto " + snat.Protocol(o.UDP) + " counter masquerade to :" + o.ToPorts.String()
	case o.ToSource != snat.AddressRange{}:
		text = "counter snat to " + formatRange(o.ToSource)
	}
	switch {
	case o.RandomFully:
		text += " fully-random"
	case o.Random:
		text += " random"
	}
	return text
}

// numgenText is the beginning of the statement of a rule for a part of the connections.
const numgenText = "numgen random mod 1000000 < "

// formatRange returns a range as nft prints it: as a network if it is one
// (range_expr_to_prefix in nft's src/netlink.c).
func formatRange(a snat.AddressRange) string {
	first, last := a.First.As4(), a.Last.As4()
	low, span := binary.BigEndian.Uint32(first[:]), binary.BigEndian.Uint32(first[:])^binary.BigEndian.Uint32(last[:])
	if span == 0 || span&(span+1) != 0 || low&span != 0 {
		return a.String()
	}
	return fmt.Sprintf("%v/%d", a.First, bits.LeadingZeros32(span))
}

// ParseStatement parses the options of a statement. It ignores words that it
// does not know, so the result is certain only if [FormatStatement] returns the
// same text.
func ParseStatement(statement string) (o snat.Options) {
	words := strings.Fields(statement)
	for i, word := range words {
		switch {
		case word == "random":
			o.Random = true
		case word == "fully-random":
			o.RandomFully = true
		case word == "udp":
			o.UDP = true
		case i == 0 || words[i-1] != "to":
		case strings.HasPrefix(word, ":"):
			o.ToPorts = snat.ParsePorts(word[1:])
		default:
			o.ToSource = snat.ParseAddresses(word)
		}
	}
	return o
}

// statementExpressions returns the expressions that the nft program makes of the
// statement.
func statementExpressions(o snat.Options) []expr.Any {
	switch {
	case o.PerMillion != 0:
		return append(drawExpressions(o.PerMillion), &expr.Counter{}, &expr.Masq{FullyRandom: o.RandomFully})
	case o.ToPorts != snat.PortRange{}:
		loads, last := loadRange(
			binary.BigEndian.AppendUint16(nil, o.ToPorts.First),
			binary.BigEndian.AppendUint16(nil, o.ToPorts.Last))
		exprs := append([]expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocolNumber(o.UDP)}},
			&expr.Counter{}}, loads...)
		return append(exprs, &expr.Masq{
			Random: o.Random, FullyRandom: o.RandomFully, ToPorts: true, RegProtoMin: register, RegProtoMax: last})
	case o.ToSource != snat.AddressRange{}:
		loads, last := loadRange(o.ToSource.First.AsSlice(), o.ToSource.Last.AsSlice())
		exprs := append([]expr.Any{&expr.Counter{}}, loads...)
		return append(exprs, &expr.NAT{
			Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, Random: o.Random, FullyRandom: o.RandomFully,
			RegAddrMin: register, RegAddrMax: last})
	}
	return []expr.Any{&expr.Counter{}, &expr.Masq{Random: o.Random, FullyRandom: o.RandomFully}}
}

// protocolNumber returns the number of a protocol in IP headers.
func protocolNumber(udp bool) byte {
	if udp {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// drawExpressions returns the expressions of numgenText and a number. The kernel draws
// for every packet that reaches them; only the first packet of a connection reaches a
// rule that translates. Values are compared byte by byte, so the drawn number is turned
// into big-endian order first.
func drawExpressions(perMillion uint32) []expr.Any {
	return []expr.Any{
		&expr.Numgen{Register: register, Modulus: snat.Million, Type: unix.NFT_NG_RANDOM},
		&expr.Byteorder{SourceRegister: register, DestRegister: register, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpLt, Register: register, Data: binary.BigEndian.AppendUint32(nil, perMillion)},
	}
}

// loadRange returns the expressions that load the ends of a range into
// registers, and the register that holds the last one. A range of one value
// needs one register.
func loadRange(first, last []byte) (exprs []expr.Any, lastRegister uint32) {
	exprs = []expr.Any{&expr.Immediate{Register: register, Data: first}}
	if string(first) == string(last) {
		return exprs, register
	}
	return append(exprs, &expr.Immediate{Register: register + 1, Data: last}), register + 1
}

// readPorts returns the range of ports that was loaded. From values that are no
// ports it returns a range that Check refuses, or none.
func readPorts(loaded [][]byte) snat.PortRange {
	var p snat.PortRange
	for i, data := range loaded {
		if len(data) != 2 {
			return snat.PortRange{}
		}
		if p.Last = binary.BigEndian.Uint16(data); i == 0 {
			p.First = p.Last
		}
	}
	return p
}

// readAddresses returns the range of addresses that was loaded, as readPorts
// does.
func readAddresses(loaded [][]byte) snat.AddressRange {
	var a snat.AddressRange
	for i, data := range loaded {
		if a.Last, _ = netip.AddrFromSlice(data); i == 0 {
			a.First = a.Last
		}
	}
	return a
}
