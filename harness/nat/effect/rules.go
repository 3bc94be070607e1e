package effect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// Found is a rule that translates connections of the lab.
type Found struct {
	Rule    Rule
	Clients []int        // by their indices; nil: unknown
	Source  netip.Prefix // has the addresses of these clients
}

// Rules are the rules that translate the connections of a lab: one, or one for each of
// some clients. Their owners go on owning them: see the package comment.
type Rules struct {
	Found  []Found
	Server netip.Prefix // the destination of the lab's connections; zero: any
	UDP    bool         // these connections are UDP; else TCP

	control *Control
	front   place // where rules stand instead of beside those of Podman; zero: there are none of Podman
}

// InChain returns the one rule of a chain that translates, for the connections from a
// network: where it is known in which chain an owner writes that rule.
func InChain(ctx context.Context, table, chain string, source netip.Prefix) (*Rules, error) {
	all, _, err := List(ctx)
	if err != nil {
		return nil, err
	}
	r := &Rules{}
	var others []string
	for _, rule := range all {
		if t, c := rule.Chain(); t == table && c == chain {
			r.Found = append(r.Found, Found{Rule: rule, Source: source})
		} else if t == table {
			others = append(others, rule.String())
		}
	}
	if len(r.Found) == 1 {
		return r, nil
	}
	return nil, fmt.Errorf("%d rules in chain %s of table %s translate, not one; in its other chains: %s", len(r.Found), chain, table, cmp.Or(strings.Join(others, "; "), "none"))
}

// Text returns the texts of the rules.
func (r *Rules) Text() string {
	var all []string
	for _, f := range r.Found {
		all = append(all, f.Rule.Text)
	}
	return strings.Join(all, ", and ")
}

// DrawsPorts reports whether all of the rules draw ports at random as they are.
func (r *Rules) DrawsPorts() bool {
	for _, f := range r.Found {
		if !f.Rule.DrawsPorts() {
			return false
		}
	}
	return true
}

// Check returns an error if no rule can stand in for one of the found ones with one of
// these options. It changes nothing.
func (r *Rules) Check(_ context.Context, all ...snat.Options) error {
	for _, f := range r.Found {
		if why := f.Rule.explainRefusal(); why != "" {
			return fmt.Errorf("no rule can stand in for %v: %s", f.Rule, why)
		}
		for _, o := range all {
			if _, err := r.standIn(f.Rule, o); err != nil {
				return fmt.Errorf("stand in for %v: %w", f.Rule, err)
			}
		}
	}
	return nil
}

// standIn returns the options of a rule that stands in for another one with the options
// of an arm: those of that rule, as far as the arm says nothing else. Ports of that rule
// are those of the lab's protocol, whatever else it is for: it translates the lab's
// connections.
func (r *Rules) standIn(of Rule, arm snat.Options) (snat.Options, error) {
	if err := arm.Check(); err != nil {
		return arm, err
	}
	o := snat.Options{ToPorts: of.Options.ToPorts, ToSource: of.Options.ToSource, Persistent: of.Options.Persistent, PerMillion: arm.PerMillion}
	o.UDP = r.UDP && o.ToPorts != (snat.PortRange{})
	if arm == (snat.Options{}) {
		o.Random, o.RandomFully = of.Options.Random, of.Options.RandomFully
		return o, nil
	}
	o.Random, o.RandomFully = arm.Random, arm.RandomFully
	if arm.ToPorts != (snat.PortRange{}) {
		o.ToPorts, o.UDP = arm.ToPorts, arm.UDP
	}
	if arm.ToSource != (snat.AddressRange{}) {
		o.ToSource, o.ToPorts, o.UDP, o.Persistent = arm.ToSource, arm.ToPorts, arm.UDP, arm.Persistent
	}
	return o, o.Check()
}

// newOwn returns a rule of snatlab's own directly before the n-th found rule.
func (r *Rules) newOwn(journal *undo.Journal, role string, n int) ownRule {
	f := r.Found[n]
	own := ownRule{mark: newMark(journal, role, n), beside: f.Rule.at, besideText: f.Rule.Text}
	if f.Rule.isPodmans() {
		own.beside, own.besideText, own.after = r.front, "", true // behind the rule of the control
	}
	own.Source, own.Server, own.Compat = f.Source, r.Server, own.beside.compat
	return own
}

// Control are the rules of the control: plain translation of the lab's connections that
// leave from a range of source ports. One stands before each found rule, and before the
// rules of arms, so these connections pass it whatever an arm is.
type Control struct {
	rules *Rules
	own   []ownRule
}

// InsertControl inserts the rules of the control. No arm may be in force.
func (r *Rules) InsertControl(ctx context.Context, journal *undo.Journal, of snat.Connections) (*Control, error) {
	c := &Control{rules: r}
	for n, f := range r.Found {
		own := r.newOwn(journal, controlRole, n)
		own.Server, own.UDP, own.Ports = of.Server, of.UDP, of.Ports
		var err error
		if own.Options, err = r.standIn(f.Rule, snat.Options{Plain: true}); err != nil {
			return nil, fmt.Errorf("insert the rule of the control: stand in for %v: %w", f.Rule, err)
		}
		c.own = append(c.own, own)
	}
	entry, err := insertRules(ctx, journal, c.own)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("insert the rule of the control: %w", err), journal.Undo(undo.Context(ctx), entry))
	}
	r.control = c
	return c, nil
}

// Text returns the texts of the rules.
func (c *Control) Text() string { return textOf(c.own) }

func textOf(rules []ownRule) string {
	var all []string
	for _, r := range rules {
		all = append(all, r.text())
	}
	return strings.Join(all, ", and ")
}

// Packets returns how many packets the rules matched since they were written: the first
// packet of each connection. It returns an error if one of them is gone.
func (c *Control) Packets(ctx context.Context) (uint64, error) {
	now, err := c.rules.look(ctx)
	if err != nil {
		return 0, err
	}
	return now.sumOwn("the rule of the control", c.own)
}
