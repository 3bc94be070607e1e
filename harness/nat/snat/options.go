// Package snat holds the options of a rule that translates source addresses.
package snat

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Options are the options of a rule's target. The target is MASQUERADE, or SNAT
// if ToSource is set.
type Options struct {
	Random      bool // the same as RandomFully since Linux 5.0
	RandomFully bool
	Persistent  bool         // with ToSource: a client gets the same address for every destination
	ToPorts     PortRange    // of one protocol alone: a range of ports needs it in the rule
	UDP         bool         // ToPorts are those of UDP; else of TCP
	ToSource    AddressRange // instead of the address of the outgoing interface
	// PerMillion makes a rule that a part of the connections pass, drawn one by one, so
	// many of a million on average. It stands before the rule of the network, which the
	// others pass. 0: every connection passes the rule, which is in place of that one.
	PerMillion uint32
	// Plain takes Random and RandomFully away from a rule that has one of them.
	Plain bool
}

// Part selects some connections of a network, and the options of the rule for them. That
// rule stands before the rule of the network, which the others pass.
type Part struct {
	Source  netip.Prefix // one client; zero: the whole network, and Options.PerMillion is set
	Options Options
}

// Check returns an error for a part that no rule is for. The network is that of the
// clients.
func (p Part) Check(network netip.Prefix) error {
	o := p.Options
	switch {
	case p.Source == (netip.Prefix{}) && o.PerMillion == 0:
		return errors.New("a rule for a part of the connections requires one client or a share")
	case p.Source == (netip.Prefix{}):
	case !p.Source.IsSingleIP() || !network.Contains(p.Source.Addr()):
		return fmt.Errorf("%v is not a client of %v", p.Source, network)
	case o.PerMillion != 0:
		return errors.New("a rule for one client is for all of its connections")
	case o.ToSource == (AddressRange{}) || o.ToPorts == (PortRange{}):
		return errors.New("a rule for one client requires addresses and ports to translate to")
	}
	return o.CheckFor(network)
}

// Protocol returns the name of a protocol of ports.
func Protocol(udp bool) string {
	if udp {
		return "udp"
	}
	return "tcp"
}

// Million is the number of connections that PerMillion is about.
const Million = 1_000_000

// Connections are those to a server from a range of source ports.
type Connections struct {
	Server netip.Prefix // see IsServer
	UDP    bool         // else TCP
	Ports  PortRange
}

// ServerAt returns the network of a server with one address.
func ServerAt(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// IsNetwork reports whether the packets of IPv4 or IPv6 can come from a network. An IPv4
// address that is written as one of IPv6 stands in no packet.
func IsNetwork(p netip.Prefix) bool { return p.IsValid() && !p.Addr().Is4In6() }

// IsServer reports whether a rule for the packets of clients can name their server so: by
// its address, or by the network of its addresses, masked, whose bits fill whole bytes.
func IsServer(p, clients netip.Prefix) bool {
	return IsNetwork(p) && p.Addr().Is6() == clients.Addr().Is6() && p.Bits() > 0 && p.Bits()%8 == 0 && p == p.Masked()
}

// PortRange is a range of ports, both ends included. The zero value is none.
type PortRange struct{ First, Last uint16 }

// AddressRange is a range of addresses, both ends included. The zero value
// is none. Which of them a connection gets depends only on the addresses of its
// client and its server (net/netfilter/nf_nat_core.c, find_best_ips_proto): a
// client gets the same address each time, and shares it with some other
// clients.
type AddressRange struct{ First, Last netip.Addr }

func (p PortRange) String() string {
	if p.First == p.Last {
		return fmt.Sprint(p.First)
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

func (a AddressRange) String() string {
	if a.First == a.Last {
		return a.First.String()
	}
	return fmt.Sprintf("%v-%v", a.First, a.Last)
}

// Check returns an error for options that contradict each other, and for those
// that no rule can have.
func (o Options) Check() error {
	ports, addresses := o.ToPorts != PortRange{}, o.ToSource != AddressRange{}
	switch {
	case o.PerMillion != 0 && !ports && o != Options{RandomFully: true, PerMillion: o.PerMillion}:
		return errors.New("a rule for a part of the connections is random-fully and nothing else, or has ports to translate to")
	case o.PerMillion >= Million:
		return fmt.Errorf("%d of %d connections are no part of them", o.PerMillion, Million)
	case o.Plain && o != Options{Plain: true}:
		return errors.New("a plain rule has no other options")
	case o.Random && o.RandomFully:
		return errors.New("random and random-fully exclude each other")
	case o.Persistent && !addresses:
		return errors.New("without addresses to translate to, a rule is not persistent")
	case o.UDP && !ports:
		return errors.New("without ports to translate to, a rule is for all protocols")
	case ports && (o.ToPorts.First == 0 || o.ToPorts.Last < o.ToPorts.First):
		return fmt.Errorf("%v is not a range of ports", o.ToPorts)
	case addresses && !o.ToSource.isRange():
		return fmt.Errorf("%v is not a range of %s addresses", o.ToSource, familyOf(o.ToSource.First))
	}
	return nil
}

// CheckFor returns an error for options that no rule for the packets of these clients can
// have: those of Check, and addresses of the other family.
func (o Options) CheckFor(clients netip.Prefix) error {
	if err := o.Check(); err != nil {
		return err
	}
	if o.ToSource != (AddressRange{}) && o.ToSource.First.Is6() != clients.Addr().Is6() {
		return fmt.Errorf("%v is not a range of %s addresses", o.ToSource, familyOf(clients.Addr()))
	}
	return nil
}

// isRange reports whether the range goes from an address upwards to one of its family.
func (a AddressRange) isRange() bool {
	for _, end := range []netip.Addr{a.First, a.Last} {
		if !end.IsValid() || end.Is4In6() || end.Zone() != "" {
			return false
		}
	}
	return a.First.BitLen() == a.Last.BitLen() && !a.Last.Less(a.First)
}

// familyOf returns the family of an address in words.
func familyOf(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "IPv6"
	}
	return "IPv4"
}

// Target returns the addresses to translate to, with the ports if there are any:
// "192.0.2.1-192.0.2.4:1024-2047", "[2001:2::1-2001:2::4]:1024-2047".
func (o Options) Target() string {
	addresses := o.ToSource.String()
	if o.ToPorts != (PortRange{}) && o.ToSource.First.Is6() {
		addresses = "[" + addresses + "]"
	}
	return o.WithPorts(addresses)
}

// WithPorts returns a text for the addresses with that of the ports behind it.
func (o Options) WithPorts(addresses string) string {
	if o.ToPorts == (PortRange{}) {
		return addresses
	}
	return addresses + ":" + o.ToPorts.String()
}

// ParseTarget reads what Target writes, and "[2001:2::1]-[2001:2::4]:1024-2047". From any
// other text, one of the values that it returns is zero.
func ParseTarget(text string) (AddressRange, PortRange) {
	colon := strings.LastIndex(text, ":")
	if a := ParseAddresses(text); colon < 0 || a != (AddressRange{}) {
		return a, PortRange{}
	}
	addresses := strings.NewReplacer("[", "", "]", "").Replace(text[:colon])
	return ParseAddresses(addresses), ParsePorts(text[colon+1:])
}

// ParsePorts reads "1024-2047", or "1024". It returns the zero value for any
// other text.
func ParsePorts(text string) PortRange {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil {
		return PortRange{}
	}
	return PortRange{uint16(a), uint16(b)}
}

// ParseAddresses reads "192.0.2.1-192.0.2.4", "192.0.2.1" or "192.0.2.0/30", and the
// same of IPv6. It returns the zero value for any other text.
func ParseAddresses(text string) AddressRange {
	if p, err := netip.ParsePrefix(text); err == nil {
		return RangeOf(p)
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	a, errA := netip.ParseAddr(first)
	b, errB := netip.ParseAddr(last)
	if errA != nil || errB != nil {
		return AddressRange{}
	}
	return AddressRange{a, b}
}

// RangeOf returns the addresses of a network.
func RangeOf(p netip.Prefix) AddressRange {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return AddressRange{p.Masked().Addr(), last}
}
