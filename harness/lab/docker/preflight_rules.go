package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/machine"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/iptables"
)

// checkRules finds the variants of iptables in which Docker has its rules, and
// lists the chains that a run lists.
func (h *Host) checkRules(ctx context.Context) machine.Precondition {
	if h.isPodman() {
		return checkListing(ctx)
	}
	if h.usesNFTables() {
		return checkBridgesTable(ctx)
	}
	p := machine.Precondition{Name: iptablesRules, State: machine.Unmet}
	installed, err := iptables.FindInstalled(iptables.IPv4)
	if err != nil {
		p.Found, p.Remedy = err.Error(), "install the package iptables"
		return p
	}
	var partly string
	for _, t := range installed {
		found, missing, err := t.DockerChains(h.info.ServerVersion)
		if err == nil && missing == nil {
			err = t.ReadChains(ctx)
		}
		switch {
		case err != nil:
			p.Found, p.Remedy = err.Error(), remedyForRules(t, err)
			return p
		case missing == nil:
			h.tables = append(h.tables, t)
		case found != nil:
			partly = fmt.Sprintf("iptables %s has Docker's chain %s, but not %s", t.Version(), found[0], missing[0])
		}
	}
	if len(h.tables) == 0 {
		p.Found, p.Remedy = h.explainNoRules(installed, partly)
		return p
	}
	p.Found = listVersions(h.tables) + ", --random-fully"
	if !slices.ContainsFunc(h.tables, (*iptables.Program).HasRandomFully) {
		p.Remedy, p.Found = "iptables 1.6.2 or later is needed", listVersions(h.tables)+": does not know --random-fully"
		return p
	}
	p.State = machine.Met
	return p
}

// checkBridgesTable looks for the table of Docker's nftables backend.
func checkBridgesTable(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: nftablesRules, State: machine.Unmet}
	all, unread, err := effect.List(ctx)
	if err != nil {
		p.Found, p.Remedy = err.Error(), "run as root"
		return p
	}
	for _, r := range all {
		if table, chain := r.Chain(); table == bridgesTable && strings.HasPrefix(chain, bridgeChain) {
			p.State, p.Found = machine.Met, "table ip "+bridgesTable
			return p
		}
	}
	p.Found, p.Remedy = "no rule of table ip "+bridgesTable+" translates", "something deleted it; restart the Docker daemon, which makes it again"
	if unread != nil {
		p.Found += " (not seen: " + strings.Join(unread, "; ") + ")"
	}
	return p
}

// explainNoRules explains why Docker has no rules. The daemon does not report how it was
// started, so the remedy names both where nothing else explains it.
func (h *Host) explainNoRules(installed []*iptables.Program, partly string) (found, remedy string) {
	found = fmt.Sprintf("Docker has no rules in %s", listVersions(installed))
	switch {
	case partly != "":
		return partly, "something deleted it; restart the Docker daemon, which makes it again"
	case iptables.HasUnseenLegacy(iptables.IPv4, installed):
		return found + ", and the kernel has a legacy table nat that no program here can list", "install iptables-legacy"
	}
	return found, "restart the Docker daemon, which makes its rules again; it does not if it is started with --iptables=false, and then no run is possible"
}

// remedyForRules returns what to do about a chain that a program cannot list. The
// program's own message has the reason.
func remedyForRules(t *iptables.Program, err error) string {
	text := strings.ToLower(err.Error())
	switch {
	case iptables.IsIncompatible(err):
		return "the nft program has written a rule there that iptables cannot show: see `nft list table ip nat` and `nft list table ip filter`, and move it to a table of its own"
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
