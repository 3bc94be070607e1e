package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/snat"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/sysctl"
	"snatlab/harness/undo"
)

// appliedArm is the [ArmRule] of an arm in force.
type appliedArm struct {
	lab      *Base
	rule     appliedRule
	settings []result.Setting
	counted  bool                          // Counters was called
	undo     []func(context.Context) error // oldest first
}

// Apply puts an arm in force. If a part of the arm fails, the others are undone.
func (b *Base) Apply(ctx context.Context, arm scenario.Arm) (ArmRule, error) {
	a := &appliedArm{lab: b}
	for _, step := range []func(context.Context, scenario.Arm) error{
		a.setSysctls, a.setPorts, a.addAddresses, a.noteResolver,
		a.setRule, // a rule counts from when it is written
		a.exemptArm,
	} {
		if err := step(ctx, arm); err != nil {
			return nil, errors.Join(err, a.Undo(undo.Context(ctx)))
		}
	}
	return a, nil
}

func (a *appliedArm) Rule() string { return a.rule.Text() }

// DrawsPorts reports whether rules that were found by their effect draw source ports.
func (a *appliedArm) DrawsPorts() bool {
	found, ok := a.rule.(foundApplied)
	return ok && found.DrawsPorts()
}

func (a *appliedArm) Settings() []result.Setting { return a.settings }

func (a *appliedArm) addSetting(part, key, value string) {
	a.settings = append(a.settings, result.Setting{Part: part, Key: key, Value: value})
}

func (a *appliedArm) Packets(ctx context.Context) (n uint64, err error) {
	err = a.lab.Router(func() (err error) {
		n, err = a.rule.Packets(ctx)
		return err
	})
	return n, err
}

func (a *appliedArm) BothPackets(ctx context.Context) (own, control uint64, err error) {
	err = a.lab.Router(func() (err error) {
		own, control, err = a.rule.BothPackets(ctx)
		return err
	})
	return own, control, err
}

// PartPackets implements [PartCounter].
func (a *appliedArm) PartPackets(ctx context.Context) (each []uint64, err error) {
	parts, ok := a.rule.(PartCounter)
	if !ok {
		return nil, nil
	}
	err = a.lab.Router(func() (err error) {
		each, err = parts.PartPackets(ctx)
		return err
	})
	return each, err
}

func (a *appliedArm) Counters(ctx context.Context) (c RuleCounters) {
	_ = a.lab.Router(func() error {
		if a.counted {
			c = a.rule.ReadCounters(ctx)
		} else {
			c = a.rule.FirstCounters(ctx)
		}
		return nil
	})
	a.counted = true
	return c
}

// Undo undoes all parts of the arm, the last one first, and goes on after an error.
func (a *appliedArm) Undo(ctx context.Context) error {
	var errs []error
	for _, undo := range slices.Backward(a.undo) {
		errs = append(errs, undo(ctx))
	}
	return errors.Join(errs...)
}

func (a *appliedArm) setSysctls(ctx context.Context, arm scenario.Arm) error {
	for _, s := range arm.Sysctls.Router {
		if err := a.changeRouter(ctx, func() (undo.Step, func() error, error) { return prepareSysctl(s) }); err != nil {
			return err
		}
		a.addSetting(result.PartRouter, s.Name, s.Value)
	}
	for _, s := range arm.Sysctls.Server {
		if err := a.setSysctlInside(a.lab.inServer, s); err != nil {
			return err
		}
		a.addSetting(result.PartServer, s.Name, s.Value)
	}
	for _, s := range arm.Sysctls.Clients {
		for _, client := range a.lab.inClients {
			if err := a.setSysctlInside(client, s); err != nil {
				return err
			}
		}
		a.addSetting(result.PartClients, s.Name, s.Value)
	}
	return nil
}

const portRange = "net.ipv4.ip_local_port_range"

// setPorts sets the source ports that the kernel may choose for the clients.
func (a *appliedArm) setPorts(_ context.Context, arm scenario.Arm) error {
	r := arm.ClientPortRange
	if arm.ClientPorts == "" && r == (scenario.PortRange{}) {
		return nil
	}
	value := fmt.Sprintf("%d-%d", r.First, r.Last)
	for i, client := range a.lab.inClients {
		if arm.ClientPorts == result.SplitPorts {
			r, value = splitRange(scenario.DefaultPorts, i, len(a.lab.inClients)), result.SplitPorts
		}
		s := sysctl.Setting{Name: portRange, Value: fmt.Sprintf("%d %d", r.First, r.Last)}
		if err := a.setSysctlInside(client, s); err != nil {
			return err
		}
	}
	a.addSetting(result.PartClients, result.KeySourcePorts, value)
	return nil
}

// noteResolver records what the probes do in the arm.
func (a *appliedArm) noteResolver(_ context.Context, arm scenario.Arm) error {
	if arm.Resolver != "" {
		a.addSetting(result.PartClients, result.KeyResolver, arm.Resolver)
	}
	return nil
}

// splitRange returns the i-th of n equal parts of a range.
func splitRange(of scenario.PortRange, i, n int) scenario.PortRange {
	size := (int(of.Last) - int(of.First) + 1) / n
	first := int(of.First) + i*size
	return scenario.PortRange{First: uint16(first), Last: uint16(first + size - 1)}
}

// setSysctlInside sets a sysctl of a namespace that ends with the lab. It needs no
// journal.
func (a *appliedArm) setSysctlInside(do machine.NamespaceFunc, s sysctl.Setting) error {
	var before string
	err := do(func() (err error) {
		before, err = machine.ReplaceSysctl(s.Name, s.Value)
		return err
	})
	if err != nil {
		return err
	}
	a.undo = append(a.undo, func(context.Context) error {
		return do(func() error { return machine.RestoreSysctl(s.Name, before, s.Value) })
	})
	return nil
}

// addAddresses adds the addresses that the rule translates to, in the router.
func (a *appliedArm) addAddresses(ctx context.Context, arm scenario.Arm) error {
	for _, address := range arm.SNAT.ToSource {
		if address == a.lab.address || slices.Contains(a.lab.addresses, address) {
			return fmt.Errorf("translate to %v: the lab itself has this address (choose another one)", address)
		}
		err := a.changeRouter(ctx, func() (undo.Step, func() error, error) { return prepareAddress(ctx, a.lab.Outgoing, address) })
		if err != nil {
			return err
		}
		a.addSetting(result.PartRouter, result.KeyAddress, fmt.Sprintf("%v dev %s", address, a.lab.Outgoing))
	}
	return nil
}

// changeRouter makes a change in the router, which may be this host, by the journal.
func (a *appliedArm) changeRouter(ctx context.Context, prepare func() (undo.Step, func() error, error)) error {
	var entry undo.Entry
	err := a.lab.Router(func() error {
		step, change, err := prepare()
		if err != nil {
			return err
		}
		entry, err = a.lab.Journal.Do(ctx, step, func(context.Context) error { return change() })
		a.undo = append(a.undo, func(ctx context.Context) error {
			return a.lab.Router(func() error { return a.lab.Journal.Undo(ctx, entry) })
		})
		return err
	})
	return err
}

func (a *appliedArm) setRule(ctx context.Context, arm scenario.Arm) error {
	err := a.lab.Router(func() (err error) {
		o, parts := RuleOptions(arm, a.lab.Protocol), append(blockRules(arm, a.lab.Protocol, a.lab.addresses), rangeRules(arm, a.lab.Protocol)...)
		a.rule, err = a.lab.translation().apply(ctx, a.lab.Journal, o, parts)
		return err
	})
	if err == nil {
		a.undo = append(a.undo, func(ctx context.Context) error {
			return a.lab.Router(func() error { return a.rule.Undo(ctx) })
		})
	}
	return err
}

// RuleOptions returns the options of an arm's rule, for a load of this protocol. Where each
// client has a block of ports, the rule stays as it is: see blockRules. Of several ranges of
// ports it has the last one: see rangeRules.
func RuleOptions(arm scenario.Arm, protocol string) snat.Options {
	if arm.SNAT.PortsPerClient > 0 {
		return snat.Options{}
	}
	o := armOptions(arm, protocol)
	if all := arm.SNAT.ToPorts; len(all) > 1 {
		o.ToPorts = snat.PortRange(all[len(all)-1])
	}
	return o
}

// rangeRules returns the rules of an arm for all of several ranges of ports but the last one.
// Each draws, of the connections that passed those before it, as many as its range has of the
// ports that are left. A rule that took every n-th connection would give both clients of a
// pair different ranges by its order, and so stop the race by accident.
func rangeRules(arm scenario.Arm, protocol string) (rules []snat.Part) {
	all, left := arm.SNAT.ToPorts, 0
	if len(all) < 2 {
		return nil
	}
	for _, r := range all {
		left += r.Len()
	}
	o := armOptions(arm, protocol)
	for _, r := range all[:len(all)-1] {
		o.ToPorts, o.PerMillion = snat.PortRange(r), uint32(snat.Million*r.Len()/left)
		left -= r.Len()
		rules = append(rules, snat.Part{Options: o})
	}
	return rules
}

// blockRules returns the rules of an arm that give each client a block of ports.
func blockRules(arm scenario.Arm, protocol string, clients []netip.Addr) (rules []snat.Part) {
	n := arm.SNAT.PortsPerClient
	if n == 0 {
		return nil
	}
	o := armOptions(arm, protocol)
	first := o.ToPorts.First
	for i, client := range clients {
		o.ToPorts.First = first + uint16(n*i)
		o.ToPorts.Last = o.ToPorts.First + uint16(n-1)
		rules = append(rules, snat.Part{Source: netip.PrefixFrom(client, client.BitLen()), Options: o})
	}
	return rules
}

// armOptions returns the options that an arm asks for.
func armOptions(arm scenario.Arm, protocol string) snat.Options {
	o := snat.Options{
		Plain: arm.Masquerade.Plain, Random: arm.Masquerade.Random || arm.SNAT.Random, RandomFully: arm.Masquerade.RandomFully || arm.SNAT.RandomFully,
		Persistent: arm.SNAT.Persistent, ToPorts: snat.PortRange(arm.ToPorts()), PerMillion: arm.Masquerade.DrawnPerMillion(),
	}
	o.UDP = protocol == result.UDP && o.ToPorts != snat.PortRange{}
	if to := arm.SNAT.ToSource; len(to) > 0 {
		o.ToSource = snat.AddressRange{First: slices.MinFunc(to, netip.Addr.Compare), Last: slices.MaxFunc(to, netip.Addr.Compare)}
	}
	return o
}

// CheckArms reports, before anything is changed, why the rule cannot be
// rewritten for one of the arms. It is called in the router.
func CheckArms(ctx context.Context, rule *nat.Rule, arms []scenario.Arm, protocol string) error {
	return rule.Check(ctx, optionsOf(arms, protocol)...)
}

func optionsOf(arms []scenario.Arm, protocol string) (all []snat.Options) {
	for _, arm := range arms {
		all = append(all, RuleOptions(arm, protocol))
	}
	return all
}
