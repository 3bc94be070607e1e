package nat

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
)

// nftStatement is what a rule does, as nft prints it.
func nftStatement(o snat.Options) string {
	text := "counter masquerade"
	switch {
	case o.ToPorts != snat.Ports{}:
		text = "meta l4proto tcp counter masquerade to :" + o.ToPorts.String()
	case o.ToSource != snat.Addresses{}:
		text = "counter snat to " + asPrefix(o.ToSource)
	}
	switch {
	case o.RandomFully:
		text += " fully-random"
	case o.Random:
		text += " random"
	}
	return text
}

// asPrefix writes a range the way nft does: as a network, if it is one
// (range_expr_to_prefix in nft's src/netlink.c).
func asPrefix(a snat.Addresses) string {
	first, last := a.First.As4(), a.Last.As4()
	low, span := binary.BigEndian.Uint32(first[:]), binary.BigEndian.Uint32(first[:])^binary.BigEndian.Uint32(last[:])
	if span == 0 || span&(span+1) != 0 || low&span != 0 {
		return a.String()
	}
	return fmt.Sprintf("%v/%d", a.First, bits.LeadingZeros32(span))
}

// nftExprs are what nft itself makes of the statement.
func nftExprs(o snat.Options) []expr.Any {
	switch {
	case o.ToPorts != snat.Ports{}:
		loads, last := load(
			binary.BigEndian.AppendUint16(nil, o.ToPorts.First),
			binary.BigEndian.AppendUint16(nil, o.ToPorts.Last))
		exprs := append([]expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Counter{}}, loads...)
		return append(exprs, &expr.Masq{
			Random: o.Random, FullyRandom: o.RandomFully, ToPorts: true, RegProtoMin: register, RegProtoMax: last})
	case o.ToSource != snat.Addresses{}:
		loads, last := load(o.ToSource.First.AsSlice(), o.ToSource.Last.AsSlice())
		exprs := append([]expr.Any{&expr.Counter{}}, loads...)
		return append(exprs, &expr.NAT{
			Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, Random: o.Random, FullyRandom: o.RandomFully,
			RegAddrMin: register, RegAddrMax: last})
	}
	return []expr.Any{&expr.Counter{}, &expr.Masq{Random: o.Random, FullyRandom: o.RandomFully}}
}

// load puts the ends of a range into registers, and tells which one holds the
// last. A range of one needs one register.
func load(first, last []byte) (exprs []expr.Any, lastRegister uint32) {
	exprs = []expr.Any{&expr.Immediate{Register: register, Data: first}}
	if string(first) == string(last) {
		return exprs, register
	}
	return append(exprs, &expr.Immediate{Register: register + 1, Data: last}), register + 1
}

// portsOf and addressesOf read what was loaded. Nonsense gives a range that
// check refuses, or none.
func portsOf(loaded [][]byte) snat.Ports {
	var p snat.Ports
	for i, data := range loaded {
		if len(data) != 2 {
			return snat.Ports{}
		}
		if p.Last = binary.BigEndian.Uint16(data); i == 0 {
			p.First = p.Last
		}
	}
	return p
}

func addressesOf(loaded [][]byte) snat.Addresses {
	var a snat.Addresses
	for i, data := range loaded {
		if a.Last, _ = netip.AddrFromSlice(data); i == 0 {
			a.First = a.Last
		}
	}
	return a
}
