package main

import (
	"fmt"
	"io"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// writeHostChanges writes what a run changes on the host, as comments.
func writeHostChanges(w io.Writer, s *scenario.Scenario) error {
	if s.Driver == result.DriverNetns {
		_, err := fmt.Fprintln(w, "# Changes on the host: none. The lab is made of network namespaces, which end with the run.")
		return err
	}
	if s.Driver == result.DriverKubernetes {
		_, err := fmt.Fprintf(w, "# Changes in the cluster and on one of its nodes, each undone at the end (more: snatlab docs kubernetes):\n# - %s\n",
			strings.Join(listClusterChanges(s), "\n# - "))
		return err
	}
	_, err := fmt.Fprintf(w, "# Changes on the host, each undone at the end (more: snatlab docs host-changes):\n# - %s\n",
		strings.Join(listHostChanges(s), "\n# - "))
	return err
}

// listHostChanges returns the changes that a run with driver docker makes.
func listHostChanges(s *scenario.Scenario) (changes []string) {
	rule, rewritten := "the MASQUERADE rule of the lab's network", ", rewritten"
	if s.Network != "" {
		rule, rewritten = "the MASQUERADE rule of network "+s.Network, ", rewritten for its other containers as well,"
	}
	changes = append(changes, describeDockerLab(s))
	if s.HasControl() {
		changes = append(changes, "a MASQUERADE rule for the control, before "+rule)
	}
	add := func(change string, does func(scenario.Arm) bool) {
		if names := armsThat(s, does); names != "" {
			changes = append(changes, change+" in trials of "+names)
		}
	}
	add(rule+rewritten, rewritesRule)
	add("a second rule before "+rule, func(a scenario.Arm) bool { return a.Masquerade.Removes > 0 })
	add("a SNAT rule for each client before "+rule, func(a scenario.Arm) bool { return a.SNAT.PortsPerClient > 0 })
	add("addresses on the bridge of the server's network", translates)
	add("sysctls of this host", func(a scenario.Arm) bool { return len(a.Sysctls.Router) > 0 })
	if n := s.Lab.PostroutingRules; n > 0 {
		changes = append(changes, fmt.Sprintf("an nftables table with %s", format.Plural(n, "idle rule", "idle rules")))
	}
	if n := s.DNAT.Backends; n > 0 {
		changes = append(changes, fmt.Sprintf("an nftables table that translates the service address to %s", format.Plural(n, "backend", "backends")))
	}
	return append(changes, "on Podman, instead of ACCEPT rules and of rules that are rewritten: an nftables table with the rules of the control and of the arms")
}

// listClusterChanges returns the changes that a run with driver kubernetes makes.
func listClusterChanges(s *scenario.Scenario) (changes []string) {
	pods := format.Plural(s.Clients, "client", "clients") + " and an agent on one node, the server on another one"
	if s.Server.Address.IsValid() {
		pods = format.Plural(s.Clients, "client", "clients") + " and an agent on one node"
	}
	if s.DNAT.Backends > 0 {
		pods += ", and a Service in front of it"
	}
	changes = append(changes, "a namespace, with Pods: "+pods)
	if s.HasControl() {
		changes = append(changes, "on the node, a rule for the control before each rule that translates the clients' connections")
	}
	if names := armsThat(s, rewritesRule); names != "" {
		changes = append(changes, "on the node, a rule for the clients' connections before each of these, in trials of "+names)
	}
	if n := s.Lab.PostroutingRules; n > 0 {
		changes = append(changes, fmt.Sprintf("on the node, an nftables table with %s, for the clients' connections", format.Plural(n, "idle rule", "idle rules")))
	}
	return append(changes, "on the node, the folder /run/snatlab with the journal of these changes, which stays, empty")
}

// describeDockerLab returns the networks, containers and rules that the lab is made of.
func describeDockerLab(s *scenario.Scenario) string {
	networks, containers := 2, s.Clients+1
	if s.Network != "" {
		networks--
	}
	between := ", and 2 ACCEPT rules between their networks"
	if s.Server.Address.IsValid() { // the server is on another machine
		networks, containers, between = networks-1, containers-1, ""
	}
	lab := format.Plural(containers, "container", "containers") + between
	if networks > 0 {
		lab = format.Plural(networks, "Docker network", "Docker networks") + ", " + lab
	}
	return lab
}

// rewritesRule reports whether an arm changes the rule of the network.
func rewritesRule(a scenario.Arm) bool {
	m := a.Masquerade
	return m.Removes == 0 && m != scenario.MasqueradeOptions{} || translates(a) && a.SNAT.PortsPerClient == 0
}

// translates reports whether an arm translates to given addresses.
func translates(a scenario.Arm) bool { return len(a.SNAT.ToSource) > 0 }

// armsThat returns the names of the arms that do something; empty if none does.
func armsThat(s *scenario.Scenario, does func(scenario.Arm) bool) string {
	var names []string
	for _, a := range s.Arms {
		if does(a) {
			names = append(names, a.Name)
		}
	}
	return joinWords(names, "and")
}
