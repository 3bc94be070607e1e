// Package firewall checks the rules that a Docker engine has on this host: whether they are
// there, and whether those of a run can stand beside them.
package firewall

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/machine"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/transaction"
)

// The names of preconditions.
const (
	IPTables = "iptables"
	NFTables = "nftables"
)

// BridgesTable is the table, of the family ip, in which the nftables backend (since Docker
// 29) has its rules, and BridgeChain begins the name of the chain for packets that leave a
// bridge.
const (
	BridgesTable = "docker-bridges"
	BridgeChain  = "nat-postrouting-out__"
)

// CheckIPTables finds the variants of iptables in which an engine of a version has its
// rules for a family, and lists the chains that a run lists.
func CheckIPTables(ctx context.Context, family iptables.Family, version string) ([]*iptables.Program, machine.Precondition) {
	p := machine.Precondition{Name: family.ProgramName(), State: machine.Unmet}
	installed, err := iptables.FindInstalled(family)
	if err != nil {
		p.Found, p.Remedy = err.Error(), "install the package iptables"
		return nil, p
	}
	var tables []*iptables.Program
	var partly string
	for _, t := range installed {
		found, missing, err := t.DockerChains(version)
		if err == nil && missing == nil {
			err = t.ReadChains(ctx)
		}
		switch {
		case err != nil:
			p.Found, p.Remedy = err.Error(), remedyForRules(t, err)
			return nil, p
		case missing == nil:
			tables = append(tables, t)
		case found != nil:
			partly = fmt.Sprintf("%s has Docker's chain %s, but not %s", t.Name(), found[0], missing[0])
		}
	}
	if len(tables) == 0 {
		p.Found, p.Remedy = explainNoRules(family, version, installed, partly)
		return nil, p
	}
	p.Found = listVersions(tables) + ", --random-fully"
	if !slices.ContainsFunc(tables, (*iptables.Program).HasRandomFully) {
		p.Remedy, p.Found = "iptables 1.6.2 or later is needed", listVersions(tables)+": does not know --random-fully"
		return tables, p
	}
	p.State = machine.Met
	return tables, p
}

// CheckBridgesTable looks for the table of Docker's nftables backend.
func CheckBridgesTable(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: NFTables, State: machine.Unmet}
	all, unread, err := effect.List(ctx)
	if err != nil {
		p.Found, p.Remedy = err.Error(), "run as root"
		return p
	}
	for _, r := range all {
		if table, chain := r.Chain(); table == BridgesTable && strings.HasPrefix(chain, BridgeChain) {
			p.State, p.Found = machine.Met, "table ip "+BridgesTable
			return p
		}
	}
	p.Found, p.Remedy = "no rule of table ip "+BridgesTable+" translates", "something deleted it; restart the Docker daemon, which makes it again"
	if unread != nil {
		p.Found += " (not seen: " + strings.Join(unread, "; ") + ")"
	}
	return p
}

// explainNoRules explains why Docker has no rules. The daemon does not report how it was
// started, so the remedy names both where nothing else explains it.
func explainNoRules(family iptables.Family, version string, installed []*iptables.Program, partly string) (found, remedy string) {
	found = fmt.Sprintf("Docker has no rules in %s", listVersions(installed))
	if family == iptables.IPv6 {
		found = "Docker has no rules for IPv6"
	}
	switch {
	case family == iptables.IPv6 && partly != "" && strings.HasPrefix(version, "20."):
		return partly, "Docker 20.10 has no such chain for IPv6: install Docker 26 or later, or use driver netns"
	case partly != "":
		return partly, "something deleted it; restart the Docker daemon, which makes it again"
	case iptables.HasUnseenLegacy(family, installed):
		return found + ", and the kernel has a legacy table nat that no program here can list", "install " + family.ProgramName() + "-legacy"
	case family == iptables.IPv6:
		return found, `set "ip6tables": true for the daemon, with "experimental": true before Docker 27, and restart it`
	}
	return found, "restart the Docker daemon, which makes its rules again; it does not if it is started with --iptables=false, and then no run is possible"
}

// remedyForRules returns what to do about a chain that a program cannot list. The
// program's own message has the reason.
func remedyForRules(t *iptables.Program, err error) string {
	text := strings.ToLower(err.Error())
	switch {
	case iptables.IsIncompatible(err):
		family := transaction.FamilyName(t.Family.TableFamily())
		return fmt.Sprintf("the nft program has written a rule there that %s cannot show: see `nft list table %[2]s nat` and `nft list table %[2]s filter`, and move it to a table of its own", t.Family.ProgramName(), family)
	case strings.Contains(text, "permission denied"), strings.Contains(text, "not permitted"):
		return "run as root"
	}
	return fmt.Sprintf("try by hand: %s -t nat -S; %[1]s -t filter -S", t.Path)
}

func listVersions(tables []*iptables.Program) string {
	var all []string
	for _, t := range tables {
		all = append(all, t.Version())
	}
	if all == nil {
		return "any iptables"
	}
	return strings.Join(all, ", ")
}
