package nat

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
)

// nftRule is the one shape of rule that we write, and that we know again.
type nftRule struct {
	subnet  netip.Prefix // IPv4, masked
	bridge  string
	options snat.Options
}

// text is the rule as `nft -s list ruleset` prints it.
func (r nftRule) text() string {
	return r.match() + nftStatement(r.options)
}

// match is the part of the text that says which packets the rule is for.
func (r nftRule) match() string {
	source := r.subnet.String()
	if r.subnet.IsSingleIP() {
		source = r.subnet.Addr().String()
	}
	return fmt.Sprintf("ip saddr %s oifname != %q ", source, r.bridge)
}

const (
	register    = unix.NFT_REG_1
	sourceField = 12 // offset of the source address in the IPv4 header
)

// exprs are what nft itself makes of the text. The counter begins at 0.
func (r nftRule) exprs() []expr.Any {
	address, length := r.subnet.Addr().As4(), uint32(net.IPv4len)
	var mask []expr.Any
	if whole, odd := r.subnet.Bits()/8, r.subnet.Bits()%8; odd == 0 && whole > 0 {
		length = uint32(whole) // less is loaded, and nothing masked
	} else {
		mask = []expr.Any{&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: net.IPv4len,
			Mask: net.CIDRMask(r.subnet.Bits(), 32), Xor: make([]byte, net.IPv4len),
		}}
	}
	exprs := append([]expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: sourceField, Len: length}}, mask...)
	exprs = append(exprs,
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address[:length]},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: padded(r.bridge)})
	return append(exprs, nftExprs(r.options)...)
}

// padded is an interface's name as a register holds it.
func padded(name string) []byte {
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

var errNotIPv4 = errors.New("not an IPv4 network")

// check finds what cannot be written, or would not read as it was written.
func (r nftRule) check() error {
	switch {
	case !r.subnet.IsValid() || !r.subnet.Addr().Is4():
		return errNotIPv4
	case r.bridge == "" || len(r.bridge) >= unix.IFNAMSIZ || strings.ContainsAny(r.bridge, `"\*`):
		return fmt.Errorf("%q is no name of a bridge", r.bridge)
	}
	return r.options.Check()
}

// parseNFT reads the expressions of a rule. What is not to the last detail what
// we would have written, the counter aside, is not our shape of rule.
func parseNFT(exprs []expr.Any) (r nftRule, packets uint64, ok bool) {
	var address [net.IPv4len]byte
	var loaded [][]byte // immediately, into registers
	prefix := 0
	for i, e := range exprs {
		switch e := e.(type) {
		case *expr.Payload:
			prefix = 8 * int(e.Len)
		case *expr.Bitwise:
			prefix, _ = net.IPMask(e.Mask).Size()
		case *expr.Cmp:
			switch {
			case e.Op == expr.CmpOpNeq:
				r.bridge = string(bytes.TrimRight(e.Data, "\x00"))
			case r.bridge == "": // after it comes the protocol
				copy(address[:], e.Data)
			}
		case *expr.Counter:
			packets = e.Packets
			exprs[i] = &expr.Counter{}
		case *expr.Immediate:
			loaded = append(loaded, e.Data)
		case *expr.Masq:
			r.options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToPorts: portsOf(loaded)}
		case *expr.NAT:
			r.options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToSource: addressesOf(loaded)}
		}
	}
	r.subnet = netip.PrefixFrom(netip.AddrFrom4(address), prefix)
	return r, packets, r.subnet == r.subnet.Masked() && r.check() == nil && reflect.DeepEqual(exprs, r.exprs())
}
