package scenario

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// limits is what each driver cannot do, or does only where it is told to.
var limits = map[string][]limit{
	Docker: {
		{
			at: path{"nat"}, value: NFTables,
			message: `nat: "nftables" is not allowed in a docker lab; allowed: iptables (the rule is the one that Docker wrote, and only its iptables rules are rewritten so far)`,
		},
		{
			at: path{"arms", "sysctls", "router"}, unless: path{"lab", "allow_host_sysctls"},
			message: "sysctls.router: sets a sysctl of the host; allowed with lab: {allow_host_sysctls: true}",
		},
		{
			at: path{"network"}, unless: path{"lab", "allow_shared_network"},
			message: "network: the masquerade rule of a network that others use is rewritten during trials; allowed with lab: {allow_shared_network: true}",
		},
	},
	Netns: {
		{
			at:      path{"server"},
			message: "server: a netns lab is closed and reaches no other machine; allowed with driver docker",
		},
		{
			at:      path{"network"},
			message: "network: a netns lab has a network of its own; allowed with driver docker",
		},
	},
}

// breach is a place in the file that asks a driver for what it cannot do.
type breach struct {
	at      *yaml.Node
	message string
}

// breaches returns those that depend on more than a key.
func breaches(s *Scenario, driver string, root *yaml.Node) []breach {
	return append(globalSettings(driver, root), takenSources(s, driver, root)...)
}

// limit is a key that does not go with a driver.
type limit struct {
	at      path
	value   string // the only one that does not; empty: none does
	unless  path   // a boolean that lifts the limit; may be nil
	message string // which names the key, and what is allowed
}

// path is the keys that lead from the root of a scenario to a value. Through a
// list it leads to each entry.
type path []string

// checkLimits holds the file against what its driver can do.
func (d *decoder) checkLimits(s *Scenario, root *yaml.Node) {
	driver := s.Driver
	for _, l := range limits[driver] {
		for _, p := range l.beyond(root) {
			if d.sound(p.value) && d.sound(l.unless.along(root)...) {
				d.fault(p.key, l.message)
			}
		}
	}
	for _, b := range breaches(s, driver, root) {
		if d.sound(b.at) {
			d.fault(b.at, b.message)
		}
	}
}

// SetDriver replaces the driver of the file, as a command line may, and NAT with
// the driver's default where the file does not say. What the driver cannot do
// is the error that it is in a file, without its place; on an error the
// scenario is as it was.
func (s *Scenario) SetDriver(driver string) error {
	changed := *s
	if err := changed.set("driver", driver); err != nil {
		return err
	}
	if !s.natWritten {
		changed.NAT = DefaultNAT(driver)
	}
	root := mapping{fields: scenarioFields(&changed)}.node()
	for _, l := range limits[driver] {
		if len(l.beyond(root)) > 0 {
			return fmt.Errorf("driver %s: %s", driver, l.message)
		}
	}
	if all := breaches(&changed, driver, root); len(all) > 0 {
		return fmt.Errorf("driver %s: %s", driver, all[0].message)
	}
	*s = changed
	return nil
}

// beyond is every place under root that is beyond the limit.
func (l limit) beyond(root *yaml.Node) []pair {
	lifted := func(p pair) bool { return p.value.Value == "true" }
	if l.unless != nil && slices.ContainsFunc(l.unless.find(root), lifted) {
		return nil
	}
	return slices.DeleteFunc(l.at.find(root), func(p pair) bool {
		return l.value != "" && l.value != p.value.Value
	})
}

// pair is a key of a mapping, and its value.
type pair struct{ key, value *yaml.Node }

// find returns every pair that the path leads to from n.
func (to path) find(n *yaml.Node) (found []pair) {
	if n != nil && n.Kind == yaml.SequenceNode {
		for _, entry := range n.Content {
			found = append(found, to.find(entry)...)
		}
		return found
	}
	key, value := lookup(n, to[0])
	switch {
	case key == nil:
		return nil
	case len(to) == 1:
		return []pair{{key, value}}
	}
	return to[1:].find(value)
}

// along gives the values that the path passes, and those that it leads to.
func (to path) along(n *yaml.Node) (passed []*yaml.Node) {
	for i := range to {
		for _, p := range to[:i+1].find(n) {
			passed = append(passed, p.value)
		}
	}
	return passed
}
