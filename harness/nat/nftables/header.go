package nftables

import (
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
)

// header is where the addresses stand in an IP header.
type header struct {
	source, destination uint32 // offsets
	size                uint32 // of an address, in bytes
}

var (
	header4 = header{source: 12, destination: 16, size: net.IPv4len}
	header6 = header{source: 8, destination: 24, size: net.IPv6len}
)

// headerOf returns the header of the packets that have such addresses.
func headerOf(a netip.Addr) header {
	if a.Is6() {
		return header6
	}
	return header4
}

// headerWith returns the header that has an address at an offset, and whether it is the
// source. The offsets of the two headers differ.
func headerWith(offset uint32) (h header, isSource, ok bool) {
	for _, h := range []header{header4, header6} {
		if offset == h.source || offset == h.destination {
			return h, offset == h.source, true
		}
	}
	return header{}, false, false
}

// MatchSource returns the expressions that compare the source address of a packet with
// a network.
func MatchSource(p netip.Prefix) []expr.Any { return matchNetwork(headerOf(p.Addr()).source, p) }

// MatchDestination returns the expressions that compare the destination address with a
// network.
func MatchDestination(p netip.Prefix) []expr.Any {
	return matchNetwork(headerOf(p.Addr()).destination, p)
}

// matchNetwork returns the expressions that compare an address with a network, as nft
// writes them.
func matchNetwork(field uint32, p netip.Prefix) []expr.Any {
	address := p.Masked().Addr().AsSlice()
	length := uint32(len(address))
	var mask []expr.Any
	if whole, odd := p.Bits()/8, p.Bits()%8; odd == 0 && whole > 0 {
		length = uint32(whole) // fewer bytes are loaded, and none masked
	} else {
		mask = []expr.Any{MaskNetwork(p)}
	}
	exprs := append([]expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: field, Len: length}}, mask...)
	return append(exprs, &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address[:length]})
}

// MaskNetwork returns the expression that leaves of an address the bits of its network.
func MaskNetwork(p netip.Prefix) *expr.Bitwise {
	size := p.Addr().BitLen()
	return &expr.Bitwise{
		SourceRegister: register, DestRegister: register, Len: uint32(size / 8),
		Mask: net.CIDRMask(p.Bits(), size), Xor: make([]byte, size/8),
	}
}

// networkOf returns the network whose address begins with these bytes; zero if there are
// none, or more than an address has.
func (h header) networkOf(begin []byte, prefix int) netip.Prefix {
	all := make([]byte, h.size)
	if len(begin) == 0 || copy(all, begin) < len(begin) {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice(all)
	return netip.PrefixFrom(a, prefix)
}
