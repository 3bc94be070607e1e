package lab

import (
	"context"
	"fmt"
	"net/netip"

	"snatlab/harness/lab/untracked"
	"snatlab/harness/nat/snat"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// untrackedRule is the rule of an arm whose packets conntrack does not see. The rule of the
// network stands beside it, and that of the control.
type untrackedRule struct {
	appliedRule
	rules untracked.Rules
}

func (r untrackedRule) Text() string { return r.rules.Text() }

// Packets returns the packets that were not tracked: both queries of a look-up, and more of a
// connection.
func (r untrackedRule) Packets(ctx context.Context) (uint64, error) { return r.rules.Packets(ctx) }

func (r untrackedRule) BothPackets(ctx context.Context) (own, control uint64, err error) {
	if own, err = r.Packets(ctx); err == nil {
		_, control, err = r.appliedRule.BothPackets(ctx)
	}
	return own, control, err
}

// exemptArm lets the packets of the arm pass without conntrack, except for those from the
// ports of the control. The router's namespace ends with the lab, and the rules with it: they
// need no journal.
func (a *appliedArm) exemptArm(ctx context.Context, arm scenario.Arm) error {
	if !arm.NoTrack {
		return nil
	}
	clients, err := netip.ParsePrefix(a.lab.Facts.ClientNetwork)
	if err != nil {
		return fmt.Errorf("exempt packets from conntrack: the network of the clients is not known: %w", err)
	}
	rules := untracked.Rules{Clients: clients, Server: a.lab.address, Tracked: snat.PortRange(a.lab.controlPorts)}
	if err := a.lab.Router(func() error { return rules.Insert(ctx) }); err != nil {
		return err
	}
	a.undo = append(a.undo, func(ctx context.Context) error {
		return a.lab.Router(func() error { return rules.Remove(ctx) })
	})
	a.rule = untrackedRule{a.rule, rules}
	a.addSetting(result.PartRouter, result.KeyNoTrack, "true")
	return nil
}
