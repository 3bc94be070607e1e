// Package compat reads and writes the actions and matches of iptables as nftables holds
// them for iptables-nft (nft_compat): a name, a revision, and a struct of the kernel.
package compat

import (
	"encoding/binary"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"

	"snatlab/harness/nat/snat"
)

// Flags of a range (include/uapi/linux/netfilter/nf_nat.h).
const (
	mapAddresses = unix.NF_NAT_RANGE_MAP_IPS
	mapPorts     = unix.NF_NAT_RANGE_PROTO_SPECIFIED
	drawPorts    = unix.NF_NAT_RANGE_PROTO_RANDOM
	drawFully    = unix.NF_NAT_RANGE_PROTO_RANDOM_FULLY
	keepAddress  = unix.NF_NAT_RANGE_PERSISTENT
)

// Lengths of struct nf_nat_ipv4_multi_range_compat (revision 0), aligned, and of struct
// nf_nat_range, with which the structs of later revisions begin.
const (
	oldLength = 24
	newLength = 40
)

// Action is an action of iptables.
type Action struct {
	Name     string // "MASQUERADE"
	Revision uint32
	Info     []byte
	IPv6     bool // of ip6tables, which never had the struct of revision 0
}

// NewAction returns the action with these options, in revision 0.
func NewAction(o snat.Options) Action {
	a := Action{Name: "MASQUERADE", Info: make([]byte, oldLength)}
	flags := uint32(0)
	if o.ToSource != (snat.AddressRange{}) {
		a.Name = "SNAT"
		flags |= mapAddresses
		first, last := o.ToSource.First.As4(), o.ToSource.Last.As4()
		copy(a.Info[8:], first[:])
		copy(a.Info[12:], last[:])
	}
	if o.ToPorts != (snat.PortRange{}) {
		flags |= mapPorts
		binary.BigEndian.PutUint16(a.Info[16:], o.ToPorts.First)
		binary.BigEndian.PutUint16(a.Info[18:], o.ToPorts.Last)
	}
	switch {
	case o.RandomFully:
		flags |= drawFully
	case o.Random:
		flags |= drawPorts
	}
	if o.Persistent {
		flags |= keepAddress
	}
	binary.NativeEndian.PutUint32(a.Info, 1) // ranges
	binary.NativeEndian.PutUint32(a.Info[4:], flags)
	return a
}

// Options returns the options of an action that translates source addresses. Known is
// false if it has others, or cannot be read.
func (a Action) Options() (o snat.Options, translates, known bool) {
	switch a.Name {
	case "NETMAP":
		return o, true, false
	case "MASQUERADE", "SNAT":
	default:
		return o, false, false
	}
	var flags uint32
	var first, last, ports []byte
	size := 4 // of an address
	if a.IPv6 {
		size = 16
	}
	switch d := a.Info; {
	case a.Revision == 0 && !a.IPv6 && len(d) >= 20:
		flags, first, last, ports = binary.NativeEndian.Uint32(d[4:]), d[8:12], d[12:16], d[16:20]
	case (a.Revision > 0 || a.IPv6) && len(d) >= newLength:
		flags, first, last, ports = binary.NativeEndian.Uint32(d), d[4:4+size], d[20:20+size], d[36:40]
	default:
		return o, true, false
	}
	o.Random, o.RandomFully, o.Persistent = flags&drawPorts != 0, flags&drawFully != 0, flags&keepAddress != 0
	if flags&mapAddresses != 0 {
		o.ToSource.First, _ = netip.AddrFromSlice(first)
		o.ToSource.Last, _ = netip.AddrFromSlice(last)
	}
	if flags&mapPorts != 0 {
		o.ToPorts = snat.PortRange{First: binary.BigEndian.Uint16(ports), Last: binary.BigEndian.Uint16(ports[2:])}
	}
	return o, true, flags&^(mapAddresses|mapPorts|drawPorts|drawFully|keepAddress) == 0 && o.Check() == nil
}

// Text returns an action as iptables prints it, with the options that it has.
func Text(name string, o snat.Options) string {
	text := "-j " + name
	switch {
	case o.ToSource.First.IsValid():
		text += " --to-source " + o.Target()
	case o.ToPorts != snat.PortRange{}:
		text += " --to-ports " + o.ToPorts.String()
	}
	switch {
	case o.RandomFully:
		text += " --random-fully"
	case o.Random:
		text += " --random"
	}
	if o.Persistent {
		text += " --persistent"
	}
	return text
}

// DrawnShare returns a struct xt_statistic_info: the match draws a share of the packets.
func DrawnShare(perMillion uint32) []byte {
	info := make([]byte, 24) // mode 0: random
	binary.NativeEndian.PutUint32(info[4:], uint32(math.Round(float64(perMillion)/snat.Million*(1<<31))))
	return info
}
