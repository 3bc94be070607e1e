package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"snatlab/harness/lab"
	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/nat"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/iptables"
)

// usesNFTables reports whether Docker writes its rules with nftables.
func (h *Host) usesNFTables() bool {
	return !h.isPodman() && strings.HasPrefix(h.backendName(), "nftables")
}

// findRule finds the rule that Docker wrote for the clients' network, and checks that
// every arm can have a rule in its place. A rule of another shape than Docker's usual one
// is looked for later, by its effect: findByEffect.
func (l *dockerLab) findRule(ctx context.Context) (err error) {
	l.Facts.ClientNetwork = l.clientNet.subnet.String()
	if l.host.isPodman() {
		return nil // it writes the rule when the first container starts: findByEffect
	}
	if l.host.usesNFTables() {
		if l.Found, err = effect.InChain(ctx, firewall.BridgesTable, firewall.BridgeChain+l.clientNet.bridge, l.clientNet.subnet); err != nil {
			return fmt.Errorf("%w (did something delete Docker's rules? a restart of the Docker daemon makes them again)", err)
		}
		return lab.CheckFound(ctx, l.Found, l.config.Arms, l.Protocol)
	}
	l.Rule, err = nat.FindRule(ctx, l.host.tables, l.clientNet.subnet, l.clientNet.bridge)
	missing, ok := errors.AsType[*nat.NoRuleError](err)
	switch {
	case ok && (missing.HasRule() || l.config.Network != ""):
		l.unusual = missing
		return nil
	case ok:
		return fmt.Errorf("%w; Docker has its chains there, and no rule for network %s (did another program delete it?)", err, l.clientNet.name)
	case err != nil:
		return err
	}
	return lab.CheckArms(ctx, l.Rule, l.config.Arms, l.Protocol)
}

// findByEffect finds the rules that translate the clients' connections by having the
// clients open some: where Docker's own rule has another shape than usual, and on a shared
// network, where a rule of somebody else may stand in front of it.
func (l *dockerLab) findByEffect(ctx context.Context) error {
	if l.unusual == nil && l.config.Network == "" && !l.host.isPodman() {
		return nil
	}
	l.Say("looking for the rule that translates")
	found, err := l.FindRules(ctx)
	if none, ok := errors.AsType[*effect.NoRuleError](err); ok && l.unusual != nil {
		return fmt.Errorf("%w; %w", l.unusual, none)
	}
	if err != nil {
		return err
	}
	if l.Rule != nil && len(found.Found) == 1 && found.Found[0].Rule.Text == l.Rule.Text {
		return nil // Docker's own, as it usually is
	}
	l.Rule, l.Found = nil, found
	if l.host.isPodman() {
		l.Facts.NAT = found.Found[0].Rule.Writer()
	}
	l.Say("the rule that translates is " + found.Text())
	if found.DrawsPorts() {
		l.Say("it draws source ports at random already")
	}
	return lab.CheckFound(ctx, found, l.config.Arms, l.Protocol)
}

// iptables returns the variant of iptables that holds the rule of the clients' network,
// or that of Docker's other rules.
func (l *dockerLab) iptables() *iptables.Program {
	if l.Rule != nil {
		return l.Rule.IPTables()
	}
	return l.host.tables[0]
}

// lookCommand returns the command that shows the rule.
func (l *dockerLab) lookCommand() string {
	if l.host.isPodman() {
		return l.Found.Found[0].Rule.LookCommand()
	}
	if l.host.usesNFTables() {
		return "nft list table ip " + firewall.BridgesTable
	}
	return l.iptables().Path + " -t nat -v -S POSTROUTING"
}
