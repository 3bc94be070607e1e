package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
)

// MasqueradeRule is a masquerade rule. It is the only shape of rule that this
// package writes to the masquerade chain and recognises there.
type MasqueradeRule struct {
	Subnet  netip.Prefix // masked
	Bridge  string
	Server  netip.Prefix   // only packets to it from Ports; zero: all packets
	UDP     bool           // Ports are those of UDP; else of TCP
	Ports   snat.PortRange // two source ports or more; zero without a Server
	Options snat.Options   // none with a Server
}

// Text returns the rule as `nft -s list ruleset` prints it.
func (r MasqueradeRule) Text() string {
	return r.Match() + FormatStatement(r.Options)
}

// Match returns the part of the text before the statement: it selects the
// packets.
func (r MasqueradeRule) Match() string {
	family := r.table().FamilyName()
	match := fmt.Sprintf("%s saddr %s oifname != %q ", family, FormatNetwork(r.Subnet), r.Bridge)
	if r.Server.IsValid() {
		match += fmt.Sprintf("%s daddr %s %s sport %v ", family, FormatNetwork(r.Server), snat.Protocol(r.UDP), r.Ports)
	}
	return match
}

// table returns the table in which the rule stands.
func (r MasqueradeRule) table() Table { return TableFor(r.Subnet) }

// FormatNetwork returns a network as the nft program prints it.
func FormatNetwork(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// parseNetwork parses what FormatNetwork returns.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// ParseRule parses the text of a rule without options. It returns false for any
// text that is not, to the letter, that of a rule which can be written.
func ParseRule(text string) (r MasqueradeRule, ok bool) {
	words := strings.Fields(text)
	switch len(words) {
	case 8:
	case 14:
		server, err := parseNetwork(words[8])
		if err != nil {
			return MasqueradeRule{}, false
		}
		r.Server, r.UDP, r.Ports = server, words[9] == snat.Protocol(true), snat.ParsePorts(words[11])
	default:
		return MasqueradeRule{}, false
	}
	var err error
	r.Subnet, err = parseNetwork(words[2])
	r.Bridge = strings.Trim(words[5], `"`)
	return r, err == nil && r.Subnet == r.Subnet.Masked() && r.checkRule() == nil && r.Text() == text
}

// parsePart parses the text of a rule for a part of the connections, as ParseRule does
// that of a rule without options.
func parsePart(text string) (r MasqueradeRule, ok bool) {
	words := strings.Fields(text)
	if len(words) < 6 {
		return MasqueradeRule{}, false
	}
	match := strings.Join(words[:6], " ") + " "
	if r, ok = ParseRule(match + FormatStatement(snat.Options{})); !ok {
		return MasqueradeRule{}, false
	}
	statement, perMillion := cutShare(strings.TrimPrefix(text, match))
	r.Options = ParseStatement(statement)
	r.Options.PerMillion = perMillion
	p := snat.Part{Options: r.Options}
	if perMillion == 0 {
		p.Source = r.Subnet
	}
	return r, p.Check(r.Subnet) == nil && r.checkRule() == nil && r.Text() == text
}

// cutShare returns a statement without the share of the connections that it draws, and that
// share, in a million; 0 for all of them, and for no number.
func cutShare(statement string) (rest string, perMillion uint32) {
	before, after, _ := strings.Cut(statement, numgenText)
	number, after, _ := strings.Cut(after, " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return statement, 0
	}
	return before + after, uint32(n)
}

const (
	register  = unix.NFT_REG_1
	portField = 0 // offset of the source port in the TCP and UDP headers
)

// buildExpressions returns the expressions that the nft program makes of the
// text. The counter begins at 0.
func (r MasqueradeRule) buildExpressions() []expr.Any {
	exprs := append(MatchSource(r.Subnet),
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: register},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: padName(r.Bridge)})
	if r.Server.IsValid() {
		exprs = append(append(exprs, MatchDestination(r.Server)...), portExpressions(r.UDP, r.Ports)...)
	}
	return append(exprs, statementExpressions(r.Options)...)
}

// portExpressions returns the expressions of `tcp sport FIRST-LAST`. They compare the
// protocol as well.
func portExpressions(udp bool, ports snat.PortRange) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocolNumber(udp)}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: portField, Len: 2},
		&expr.Cmp{Op: expr.CmpOpGte, Register: register, Data: binary.BigEndian.AppendUint16(nil, ports.First)},
		&expr.Cmp{Op: expr.CmpOpLte, Register: register, Data: binary.BigEndian.AppendUint16(nil, ports.Last)},
	}
}

// readServer reads what follows a payload expression that is not that of the source: the
// address of the server or a part of it, or the ports.
func (r *MasqueradeRule) readServer(field *expr.Payload, after []expr.Any) {
	var compared [][]byte
	for _, e := range after {
		c, ok := e.(*expr.Cmp)
		if !ok {
			break
		}
		compared = append(compared, c.Data)
	}
	switch {
	case field.Base == expr.PayloadBaseTransportHeader:
		r.Ports = readPorts(compared)
	case len(compared) > 0:
		h, _, _ := headerWith(field.Offset)
		r.Server = h.networkOf(compared[0], 8*len(compared[0]))
	}
}

// padName returns the name of an interface as a register holds it.
func padName(name string) []byte {
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

var errNotNetwork = errors.New("not a network of IPv4 or IPv6")

// checkRule returns an error for a rule that cannot be written, or that would
// read differently from what was written.
func (r MasqueradeRule) checkRule() error {
	switch {
	case !snat.IsNetwork(r.Subnet):
		return errNotNetwork
	case r.Bridge == "" || len(r.Bridge) >= unix.IFNAMSIZ || strings.ContainsAny(r.Bridge, `"\*`):
		return fmt.Errorf("%q is not the name of a bridge", r.Bridge)
	case r.Server.IsValid() && (!snat.IsServer(r.Server, r.Subnet) || r.Options != (snat.Options{})):
		return fmt.Errorf("%v is not the server of a control", r.Server)
	case r.Server.IsValid() && (r.Ports.First == 0 || r.Ports.First >= r.Ports.Last) || !r.Server.IsValid() && (r.UDP || r.Ports != (snat.PortRange{})):
		return fmt.Errorf("%v are not the source ports of a control", r.Ports)
	}
	return r.Options.CheckFor(r.Subnet)
}

// parseExpressions parses the expressions of a rule. It returns false unless
// they are exactly those that this package writes, the counter's value aside.
func parseExpressions(exprs []expr.Any) (r MasqueradeRule, packets uint64, ok bool) {
	var source header
	var address []byte
	var loaded [][]byte // values of expr.Immediate
	prefix, perMillion, udp := 0, uint32(0), false
	for i, e := range exprs {
		switch e := e.(type) {
		case *expr.Payload:
			if h, isSource, ok := headerWith(e.Offset); ok && isSource && e.Base == expr.PayloadBaseNetworkHeader {
				source, prefix = h, 8*int(e.Len)
			} else {
				r.readServer(e, exprs[i+1:])
			}
		case *expr.Bitwise:
			prefix, _ = net.IPMask(e.Mask).Size()
		case *expr.Cmp:
			switch {
			case e.Op == expr.CmpOpLt && len(e.Data) == 4:
				perMillion = binary.BigEndian.Uint32(e.Data)
			case e.Op == expr.CmpOpNeq:
				r.Bridge = string(bytes.TrimRight(e.Data, "\x00"))
			case r.Bridge == "": // the protocol is compared after it
				address = e.Data
			case len(e.Data) == 1:
				udp = e.Data[0] == unix.IPPROTO_UDP
			}
		case *expr.Counter:
			packets = e.Packets
			exprs[i] = &expr.Counter{}
		case *expr.Immediate:
			loaded = append(loaded, e.Data)
		case *expr.Masq:
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, ToPorts: readPorts(loaded), UDP: udp && len(loaded) > 0, PerMillion: perMillion}
		case *expr.NAT:
			addresses, ports := splitLoaded(loaded)
			r.Options = snat.Options{Random: e.Random, RandomFully: e.FullyRandom, Persistent: e.Persistent,
				ToSource: readAddresses(addresses), ToPorts: readPorts(ports), UDP: udp && len(ports) > 0, PerMillion: perMillion}
		}
	}
	r.Subnet, r.UDP = source.networkOf(address, prefix), udp && r.Server.IsValid()
	return r, packets, r.Subnet == r.Subnet.Masked() && r.checkRule() == nil && reflect.DeepEqual(exprs, r.buildExpressions())
}
