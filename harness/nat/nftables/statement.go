package nftables

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
	"snatlab/harness/nat/transaction"
)

// FormatStatement returns the action of a rule with these options as nft prints
// it.
func FormatStatement(o snat.Options) string {
	text := "counter masquerade"
	switch {
	case o.ToSource != snat.AddressRange{}:
		text = "counter snat to " + formatTarget(o)
	case o.ToPorts != snat.PortRange{}:
		text += " to :" + o.ToPorts.String()
	}
	if o.PerMillion != 0 {
		text = fmt.Sprintf("%s%d %s", numgenText, o.PerMillion, text)
	}
	if o.ToPorts != (snat.PortRange{}) {
		text = "meta l4proto " + snat.Protocol(o.UDP) + " " + text
	}
	return text + formatFlags(o)
}

// formatFlags returns the flags of a statement as nft prints them, after a space.
func formatFlags(o snat.Options) string {
	var flags []string
	switch {
	case o.RandomFully:
		flags = append(flags, "fully-random")
	case o.Random:
		flags = append(flags, "random")
	}
	if o.Persistent {
		flags = append(flags, "persistent")
	}
	if len(flags) == 0 {
		return ""
	}
	return " " + strings.Join(flags, ",")
}

// numgenText is the beginning of the statement of a rule for a part of the connections.
const numgenText = "numgen random mod 1000000 < "

// formatTarget returns the addresses to translate to and the ports as nft prints them. It
// prints a range as a network if it is one (range_expr_to_prefix in nft's src/netlink.c),
// and brackets around each address of IPv6 before ports, but none around a network.
func formatTarget(o snat.Options) string {
	a := o.ToSource
	network, ok := networkOfRange(a)
	switch {
	case ok:
		return o.WithPorts(network.String())
	case o.ToPorts == snat.PortRange{} || !a.First.Is6():
		return o.Target()
	}
	text := fmt.Sprintf("[%v]", a.First)
	if a.First != a.Last {
		text += fmt.Sprintf("-[%v]", a.Last)
	}
	return o.WithPorts(text)
}

// networkOfRange returns the network of two addresses or more that a range is.
func networkOfRange(a snat.AddressRange) (p netip.Prefix, ok bool) {
	for bits := range a.First.BitLen() {
		if p := netip.PrefixFrom(a.First, bits); snat.RangeOf(p) == a {
			return p, true
		}
	}
	return p, false
}

// ParseStatement parses the options of a statement. It ignores words that it
// does not know, so the result is certain only if [FormatStatement] returns the
// same text.
func ParseStatement(statement string) (o snat.Options) {
	words := strings.Fields(statement)
	for i, word := range words {
		for _, flag := range strings.Split(word, ",") {
			o.Random = o.Random || flag == "random"
			o.RandomFully = o.RandomFully || flag == "fully-random"
			o.Persistent = o.Persistent || flag == "persistent"
		}
		switch {
		case word == "udp":
			o.UDP = true
		case i == 0 || words[i-1] != "to":
		case strings.HasPrefix(word, ":"):
			o.ToPorts = snat.ParsePorts(word[1:])
		default:
			o.ToSource, o.ToPorts = snat.ParseTarget(word)
		}
	}
	return o
}

// statementExpressions returns the expressions that the nft program makes of the
// statement.
func statementExpressions(o snat.Options) []expr.Any {
	var exprs []expr.Any
	if o.ToPorts != (snat.PortRange{}) {
		exprs = append(exprs, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocolNumber(o.UDP)}})
	}
	if o.PerMillion != 0 {
		exprs = append(exprs, drawExpressions(o.PerMillion)...)
	}
	exprs = append(exprs, &expr.Counter{})
	switch {
	case o.ToSource == snat.AddressRange{} && o.ToPorts == snat.PortRange{}:
		return append(exprs, &expr.Masq{Random: o.Random, FullyRandom: o.RandomFully})
	case o.ToSource == snat.AddressRange{}:
		loads, last := loadPorts(o.ToPorts, register)
		return append(append(exprs, loads...), &expr.Masq{
			Random: o.Random, FullyRandom: o.RandomFully, ToPorts: true, RegProtoMin: register, RegProtoMax: last})
	}
	to := &expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(transaction.FamilyOf(o.ToSource.First)), Random: o.Random, FullyRandom: o.RandomFully,
		Persistent: o.Persistent, RegAddrMin: register}
	loads, last := loadRange(o.ToSource.First.AsSlice(), o.ToSource.Last.AsSlice(), register)
	to.RegAddrMax = last
	if o.ToPorts != (snat.PortRange{}) {
		ports, lastPort := loadPorts(o.ToPorts, last+1)
		loads = append(loads, ports...)
		to.RegProtoMin, to.RegProtoMax, to.Specified = last+1, lastPort, true
	}
	return append(append(exprs, loads...), to)
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

// loadPorts is loadRange for ports.
func loadPorts(p snat.PortRange, from uint32) (exprs []expr.Any, lastRegister uint32) {
	return loadRange(binary.BigEndian.AppendUint16(nil, p.First), binary.BigEndian.AppendUint16(nil, p.Last), from)
}

// loadRange returns the expressions that load the ends of a range into
// registers, from the given one on, and the register that holds the last one. A range of
// one value needs one register.
func loadRange(first, last []byte, from uint32) (exprs []expr.Any, lastRegister uint32) {
	exprs = []expr.Any{&expr.Immediate{Register: from, Data: first}}
	if string(first) == string(last) {
		return exprs, from
	}
	return append(exprs, &expr.Immediate{Register: from + 1, Data: last}), from + 1
}

// splitLoaded separates the addresses that were loaded from the ports behind them.
func splitLoaded(loaded [][]byte) (addresses, ports [][]byte) {
	n := 0
	for n < len(loaded) && len(loaded[n]) != 2 {
		n++
	}
	return loaded[:n], loaded[n:]
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
