// Package limits holds the settings that a driver does not support, or only if another
// setting allows it.
package limits

import (
	"slices"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// Limit is a key that a driver does not support.
type Limit struct {
	At      strictyaml.Path
	Value   string          // the only unsupported value; empty: every value
	Except  string          // the only supported value; empty: none
	Unless  strictyaml.Path // a boolean that lifts the limit; may be nil
	Message string          // names the key and the allowed values
}

// Of are the limits of each driver.
var Of = map[string][]Limit{
	result.DriverDocker: {
		onlyKubernetes, onlyGuests,
		{
			At: strictyaml.Path{"arms", "notrack"}, Value: "true",
			Message: "notrack: the server of a docker lab has no route to the clients but through NAT; allowed with driver netns",
		},
		{
			At: strictyaml.Path{"nat"}, Value: result.NATNFTables,
			Message: `nat: "nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`,
		},
		{
			At: strictyaml.Path{"arms", "sysctls", "router"}, Unless: strictyaml.Path{"lab", "allow_host_sysctls"},
			Message: "sysctls.router: sets a sysctl of the host; allowed with lab: {allow_host_sysctls: true}",
		},
		{
			At: strictyaml.Path{"network"}, Unless: strictyaml.Path{"lab", "allow_shared_network"},
			Message: "network: the masquerade rule of a network that others use is rewritten during trials; allowed with lab: {allow_shared_network: true}",
		},
	},
	result.DriverKubernetes: {
		onlyGuests,
		{
			At: strictyaml.Path{"lab", "family"}, Value: result.IPv6,
			Message: "lab.family: ipv6 is not supported in a kubernetes lab, whose Pods are reached over IPv4; allowed with drivers docker and netns",
		},
		{
			At: strictyaml.Path{"arms", "notrack"}, Value: "true",
			Message: "notrack: the server of a kubernetes lab has no route to the clients but through NAT; allowed with driver netns",
		},
		{
			At: strictyaml.Path{"nat"}, Value: result.NATNFTables,
			Message: `nat: "nftables" is not allowed in a kubernetes lab; allowed: iptables, or no nat at all (the rules are those of the node, whoever wrote them)`,
		},
		{
			At:      strictyaml.Path{"network"},
			Message: "network: a kubernetes lab is on the network of its cluster; allowed with driver docker",
		},
		{
			At: strictyaml.Path{"dnat", "backends"}, Except: "1",
			Message: "backends: the Service of a kubernetes lab has one backend; more are allowed with drivers docker and netns",
		},
		{
			At:      strictyaml.Path{"server", "accept_source_ports"},
			Message: "server.accept_source_ports: a kubernetes lab adds no rules to Pods; allowed with drivers docker and netns",
		},
		{
			At:      strictyaml.Path{"arms", "sysctls"},
			Message: "sysctls: a kubernetes lab sets no sysctls of Pods or nodes; allowed with drivers docker and netns",
		},
		{
			At:      strictyaml.Path{"arms", "snat"},
			Message: "snat: a kubernetes lab adds no addresses to a node; allowed with drivers docker and netns",
		},
		{
			At: strictyaml.Path{"arms", "resolver"}, Value: result.UseVC,
			Message: "resolver: use-vc is not allowed in a kubernetes lab, whose agent on the node removes entries of UDP alone; allowed with drivers docker and netns",
		},
		{
			At:      strictyaml.Path{"arms", "client_port_range"},
			Message: "client_port_range: a kubernetes lab sets no sysctls of Pods; allowed with drivers docker and netns",
		},
	},
	result.DriverNetns: {
		onlyKubernetes,
		{
			At:      strictyaml.Path{"server", "address"},
			Message: "server.address: a netns lab is closed and reaches no other machine; allowed with drivers docker and kubernetes",
		},
		{
			At:      strictyaml.Path{"network"},
			Message: "network: a netns lab has a network of its own; allowed with driver docker",
		},
	},
}

// onlyGuests refuses a full table where it would be the host's.
var onlyGuests = Limit{
	At:      strictyaml.Path{"lab", "conntrack_max"},
	Message: "lab.conntrack_max: the conntrack table would be that of the whole machine; allowed with driver netns, in the guests of snatlab matrix",
}

// onlyKubernetes refuses settings of Pods.
var onlyKubernetes = Limit{
	At:      strictyaml.Path{"kubernetes"},
	Message: "kubernetes: the lab of this driver has no Pods; allowed with driver kubernetes",
}

// FindBeyond returns every pair under root that the driver does not support.
func (l Limit) FindBeyond(root *yaml.Node) []strictyaml.Pair {
	lifted := func(p strictyaml.Pair) bool { return p.Value.Value == "true" }
	if l.Unless != nil && slices.ContainsFunc(l.Unless.FindPairs(root), lifted) {
		return nil
	}
	return slices.DeleteFunc(l.At.FindPairs(root), func(p strictyaml.Pair) bool {
		return l.Value != "" && l.Value != p.Value.Value || l.Except != "" && l.Except == p.Value.Value
	})
}
