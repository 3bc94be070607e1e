package scenario

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// driverLimits are the settings that a driver does not support, or only if another
// setting allows it.
var driverLimits = map[string][]driverLimit{
	result.DriverDocker: {
		onlyKubernetes, onlyGuests,
		{
			at: strictyaml.Path{"arms", "notrack"}, value: "true",
			message: "notrack: the server of a docker lab has no route to the clients but through NAT; allowed with driver netns",
		},
		{
			at: strictyaml.Path{"nat"}, value: result.NATNFTables,
			message: `nat: "nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`,
		},
		{
			at: strictyaml.Path{"arms", "sysctls", "router"}, unless: strictyaml.Path{"lab", "allow_host_sysctls"},
			message: "sysctls.router: sets a sysctl of the host; allowed with lab: {allow_host_sysctls: true}",
		},
		{
			at: strictyaml.Path{"network"}, unless: strictyaml.Path{"lab", "allow_shared_network"},
			message: "network: the masquerade rule of a network that others use is rewritten during trials; allowed with lab: {allow_shared_network: true}",
		},
	},
	result.DriverKubernetes: {
		onlyGuests,
		{
			at: strictyaml.Path{"lab", "family"}, value: result.IPv6,
			message: "lab.family: ipv6 is not supported in a kubernetes lab, whose Pods are reached over IPv4; allowed with drivers docker and netns",
		},
		{
			at: strictyaml.Path{"arms", "notrack"}, value: "true",
			message: "notrack: the server of a kubernetes lab has no route to the clients but through NAT; allowed with driver netns",
		},
		{
			at: strictyaml.Path{"nat"}, value: result.NATNFTables,
			message: `nat: "nftables" is not allowed in a kubernetes lab; allowed: iptables, or no nat at all (the rules are those of the node, whoever wrote them)`,
		},
		{
			at:      strictyaml.Path{"network"},
			message: "network: a kubernetes lab is on the network of its cluster; allowed with driver docker",
		},
		{
			at: strictyaml.Path{"dnat", "backends"}, except: "1",
			message: "backends: the Service of a kubernetes lab has one backend; more are allowed with drivers docker and netns",
		},
		{
			at:      strictyaml.Path{"server", "accept_source_ports"},
			message: "server.accept_source_ports: a kubernetes lab adds no rules to Pods; allowed with drivers docker and netns",
		},
		{
			at:      strictyaml.Path{"arms", "sysctls"},
			message: "sysctls: a kubernetes lab sets no sysctls of Pods or nodes; allowed with drivers docker and netns",
		},
		{
			at:      strictyaml.Path{"arms", "snat"},
			message: "snat: a kubernetes lab adds no addresses to a node; allowed with drivers docker and netns",
		},
		{
			at: strictyaml.Path{"arms", "resolver"}, value: result.UseVC,
			message: "resolver: use-vc is not allowed in a kubernetes lab, whose agent on the node removes entries of UDP alone; allowed with drivers docker and netns",
		},
		{
			at:      strictyaml.Path{"arms", "client_port_range"},
			message: "client_port_range: a kubernetes lab sets no sysctls of Pods; allowed with drivers docker and netns",
		},
	},
	result.DriverNetns: {
		onlyKubernetes,
		{
			at:      strictyaml.Path{"server", "address"},
			message: "server.address: a netns lab is closed and reaches no other machine; allowed with drivers docker and kubernetes",
		},
		{
			at:      strictyaml.Path{"network"},
			message: "network: a netns lab has a network of its own; allowed with driver docker",
		},
	},
}

// onlyGuests refuses a full table where it would be the host's.
var onlyGuests = driverLimit{
	at:      strictyaml.Path{"lab", "conntrack_max"},
	message: "lab.conntrack_max: the conntrack table would be that of the whole machine; allowed with driver netns, in the guests of snatlab matrix",
}

// onlyKubernetes refuses settings of Pods.
var onlyKubernetes = driverLimit{
	at:      strictyaml.Path{"kubernetes"},
	message: "kubernetes: the lab of this driver has no Pods; allowed with driver kubernetes",
}

// driverFault is a place in the file with a setting that a driver does not support.
type driverFault struct {
	at      *yaml.Node
	message string
}

// driverFaults returns the faults that depend on more than one key.
func driverFaults(s *Scenario, driver string, root *yaml.Node) []driverFault {
	return append(findGlobalSettings(driver, root), findTakenSources(s, driver, root)...)
}

// driverLimit is a key that a driver does not support.
type driverLimit struct {
	at      strictyaml.Path
	value   string          // the only unsupported value; empty: every value
	except  string          // the only supported value; empty: none
	unless  strictyaml.Path // a boolean that lifts the limit; may be nil
	message string          // names the key and the allowed values
}

// checkLimits refuses settings that the driver of the file does not support.
func (c checker) checkLimits(s *Scenario, root *yaml.Node) {
	driver := s.Driver
	for _, l := range driverLimits[driver] {
		for _, p := range l.findBeyond(root) {
			if c.IsSound(p.Value) && c.IsSound(l.unless.FindAlong(root)...) {
				c.AddFault(p.Key, l.message)
			}
		}
	}
	for _, b := range driverFaults(s, driver, root) {
		if c.IsSound(b.at) {
			c.AddFault(b.at, b.message)
		}
	}
}

// SetDriver replaces the driver of the file, for a flag of the command line. If the
// file does not set nat, NAT becomes the driver's default. A setting that the driver
// does not support is an error with the same text as the fault of a file, without
// its place. On an error the scenario is unchanged.
func (s *Scenario) SetDriver(driver string) error {
	changed := *s
	if err := changed.setField("driver", driver); err != nil {
		return err
	}
	if !s.natWritten {
		changed.NAT = DefaultNAT(driver)
	}
	root := strictyaml.Mapping{Fields: scenarioFields(&changed)}.MakeNode()
	for _, l := range driverLimits[driver] {
		if len(l.findBeyond(root)) > 0 {
			return fmt.Errorf("driver %s: %s", driver, l.message)
		}
	}
	if all := driverFaults(&changed, driver, root); len(all) > 0 {
		return fmt.Errorf("driver %s: %s", driver, all[0].message)
	}
	*s = changed
	return nil
}

// findBeyond returns every pair under root that the driver does not support.
func (l driverLimit) findBeyond(root *yaml.Node) []strictyaml.Pair {
	lifted := func(p strictyaml.Pair) bool { return p.Value.Value == "true" }
	if l.unless != nil && slices.ContainsFunc(l.unless.FindPairs(root), lifted) {
		return nil
	}
	return slices.DeleteFunc(l.at.FindPairs(root), func(p strictyaml.Pair) bool {
		return l.value != "" && l.value != p.Value.Value || l.except != "" && l.except == p.Value.Value
	})
}
