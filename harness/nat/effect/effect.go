// Package effect finds the rules that translate the source addresses of a lab's
// connections, whoever wrote them, and puts the rules of an arm in front of them.
//
// CNI plugins, kube-proxy and container engines write such rules in many places: a chain
// for each Pod, POSTROUTING itself, a table of nftables. [List] lists them all, of both
// variants of iptables and of nftables. [Find] sends connections of each client, and
// takes the rule that counted as many.
//
// # What is changed
//
// The found rules are never changed, moved or deleted. An arm is a rule of snatlab's own,
// directly before the found one in the same chain, for the packets from the lab's clients
// to the lab's server alone: it has the target of the found rule with the options of the
// arm. Reasons:
//
//   - Owners look for their rules: flannel every 5 s, Docker when it removes a network. A
//     changed rule is written again in the middle of a trial, or outlives its network.
//   - Nothing has to be restored. After a crash the found rule stands where it stood, with
//     its text and its counters; what is left of the run is rules for addresses of the lab.
//   - The connections of other containers and Pods pass the rules that they always pass.
//
// Where Podman wrote the found rule, the rules of arms are in a table of snatlab's own that
// packets pass before it, because its program cannot have others among its rules: front.go.
//
// An arm without options leaves the connections to the found rules. If such a rule has no
// counter, a rule of snatlab's own that only counts stands before it.
//
// Every rule of snatlab's own carries a mark with the name of the run, is a step of the
// undo journal, and is found again by its mark. A found rule is found again by its handle
// (nftables, iptables-nft) or its text (iptables-legacy): one that its owner has written
// anew in the meantime is another rule, and [Applied.Packets] reports that it is gone.
//
// Rules of iptables-nft are read and written over netlink, like those of nftables, in the
// form in which iptables-nft itself writes them. So no iptables program is needed for
// them, except to print their texts. iptables-legacy needs its program.
//
// Everything, undoing included, happens in the network namespace of the calling thread.
package effect

import (
	"context"
	"net/netip"
)

// Connections are those of a lab, as they arrive at the hook that translates sources.
type Connections struct {
	Clients []netip.Addr // their sources before the translation, one for each client; IPv4
	Server  netip.Prefix // their destination, after a translation of destinations
	UDP     bool         // else TCP

	// Send opens n connections of a client, by its index, one after the other, each from
	// another port. It returns when their first packets have been sent.
	Send func(ctx context.Context, client, n int) error
}
