package nftables

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

// MasqueradeRule is a masquerade rule. It is the only shape of rule that this
// package writes to the masquerade chain and recognises there.
type MasqueradeRule struct {
	Subnet  netip.Prefix // IPv4, masked
	Bridge  string
	Options snat.Options
}

// Text returns the rule as `nft -s list ruleset` prints it.
func (r MasqueradeRule) Text() string {
	return r.Match() + FormatStatement(r.Options)
}

// Match returns the part of the text before the statement: it selects the
// packets.
func (r MasqueradeRule) Match() string {
	source := r.Subnet.String()
	if r.Subnet.IsSingleIP() {
		source = r.Subnet.Addr().String()
	}
	return fmt.Sprintf("ip saddr %s oifname != %q ", source, r.Bridge)
}

// ParseRule parses the text of a rule without options. It returns false for any
// text that is not, to the letter, that of a rule which can be written.
func ParseRule(text string) (MasqueradeRule, bool) {
	words := strings.Fields(text)
	if len(words) != 8 {
		return MasqueradeRule{}, false
	}
	source, bridge := words[2], strings.Trim(words[5], `"`)
	if !strings.Contains(source, "/") {
		source += "/32"
	}
	subnet, err := netip.ParsePrefix(source)
	r := MasqueradeRule{Subnet: subnet, Bridge: bridge}
	return r, err == nil && subnet == subnet.Masked() && r.checkRule() == nil && r.Text() == text
}

const (
	register    = unix.NFT_REG_1
	sourceField = 12 // offset of the source address in the IPv4 header
)

// buildExpressions returns the expressions that the nft program makes of the
// text. The counter begins at 0.
func (r MasqueradeRule) buildExpressions() []expr.Any {
	address, length := r.Subnet.Addr().As4(), uint32(net.IPv4len)
	var mask []expr.Any
	if whole, odd := r.Subnet.Bits()/8, r.Subnet.Bits()%8; odd == 0 && whole > 0 {
		length = uint32(whole) // fewer bytes are loaded, and none masked
	} else {
		mask = []expr.Any{&expr.Bitwise{
			SourceRegister: register, DestRegister: register, Len: net.IPv4len,
			Mask: net.CIDRMask(r.Subnet.Bits(), 32), Xor: make([]byte, net.IPv4len),
		}}
	}
	exprs := append([]expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: sourceField, Len: length}}, mask...)
	exprs = append(exprs,
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address[:length]},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: padName(r.Bridge)})
	return append(exprs, statementExpressions(r.Options)...)
}

// padName returns the name of an interface as a register holds it.
func padName(name string) []byte {
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

var errNotIPv4 = errors.New("not an IPv4 network")

// checkRule returns an error for a rule that cannot be written, or that would
// read differently from what was written.
func (r MasqueradeRule) checkRule() error {
	switch {
	case !r.Subnet.IsValid() || !r.Subnet.Addr().Is4():
		return errNotIPv4
	case r.Bridge == "" || len(r.Bridge) >= unix.IFNAMSIZ || strings.ContainsAny(r.Bridge, `"\*`):
		return fmt.Errorf("%q is not the name of a bridge", r.Bridge)
	}
	return r.Options.Check()
}

// parseExpressions parses the expressions of a rule. It returns false unless
// they are exactly those that this package writes, the counter's value aside.
func parseExpressions(exprs []expr.Any) (r MasqueradeRule, packets uint64, ok bool) {
	var address [net.IPv4len]byte
	var loaded [][]byte // values of expr.Immediate
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
				r.Bridge = string(bytes.TrimRight(e.Data, "\x00"))
			case r.Bridge == "": // the protocol is compared after it
				copy(address[:], e.Data)
			}
		case *expr.Counter:
			packets = e.Packets
			exprs[i] = &expr.Counter{}
		case *expr.Immediate:
			loaded = append(loaded, e.Data)
		case *expr.Masq:
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToPorts: readPorts(loaded)}
		case *expr.NAT:
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToSource: readAddresses(loaded)}
		}
	}
	r.Subnet = netip.PrefixFrom(netip.AddrFrom4(address), prefix)
	return r, packets, r.Subnet == r.Subnet.Masked() && r.checkRule() == nil && reflect.DeepEqual(exprs, r.buildExpressions())
}
