package nat

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// ControlRule is the rule of the control: plain masquerade of the connections from a
// network to a server that leave from a range of source ports. It stands before the rule
// of the network, so these connections pass it whatever an arm makes of the network's rule.
type ControlRule struct {
	rule    rule // without its counter
	network rule // the network's rule as its owner made it
	backend backend
}

// InsertControl inserts the rule of the control directly before this rule, which no
// arm has rewritten yet. An existing rule with the same text is an error.
func (r *Rule) InsertControl(ctx context.Context, journal *undo.Journal, of snat.Connections) (*ControlRule, error) {
	c := &ControlRule{network: r.originalRule(), backend: r.backend}
	err := c.insertRule(ctx, journal, of)
	if err != nil {
		return nil, fmt.Errorf("insert the rule of the control before %q: %w", r.Text, err)
	}
	r.control = c
	return c, nil
}

func (c *ControlRule) insertRule(ctx context.Context, journal *undo.Journal, of snat.Connections) (err error) {
	if c.rule, err = c.backend.insertControl(ctx, journal, c.network, of); err != nil {
		return err
	}
	after, err := c.backend.readRules(ctx)
	if err != nil {
		return err
	}
	if own, network := positionOf(after, c.rule), positionOf(after, c.network); own == 0 || network == 0 || own > network {
		return fmt.Errorf("%s accepted the rule, but %s now holds %q", c.backend.programName(), c.backend.placeName(), ruleTexts(after))
	}
	return nil
}

// Text returns the text of the rule.
func (c *ControlRule) Text() string { return c.rule.text }

// Packets returns how many packets the rule matched since it was written: the first
// packet of each connection. It returns an error if the rule is gone because another
// program rewrote the rules.
func (c *ControlRule) Packets(ctx context.Context) (uint64, error) {
	rules, err := c.backend.readRules(ctx)
	if err != nil {
		return 0, err
	}
	return c.findPackets(rules)
}

// findPackets returns the counter of the rule in a listing, the sum of its copies.
func (c *ControlRule) findPackets(rules []rule) (packets uint64, err error) {
	if positionOf(rules, c.rule) == 0 {
		return 0, goneError("rule of the control", c.rule, c.backend)
	}
	for _, r := range rules {
		if r.equals(c.rule) {
			packets += r.packets
		}
	}
	return packets, nil
}

// maxCopies bounds the attempts to put the rule of the control before another one.
const maxCopies = 5

// putBefore puts the rule of the control before the network's rule, if a listing shows
// it behind, and returns the listing after that. The network's rule is written at the
// position of the one that it replaces; if another program inserts rules above at that
// moment, it lands above the control's rule as well, and would take its connections.
//
// A copy is inserted, and the rule behind stays: every rule with the run's mark is
// removed at the end. A rule without a mark, on a kernel without xt_comment, is not
// copied.
func (c *ControlRule) putBefore(ctx context.Context, rules []rule, network rule) ([]rule, error) {
	if c == nil || c.rule.mark == "" { // nftables replaces a rule in its place
		return rules, nil
	}
	b, ok := c.backend.(iptablesBackend)
	for range maxCopies {
		own, before := positionOf(rules, c.rule), positionOf(rules, network)
		if !ok || own == 0 || own < before {
			return rules, nil
		}
		if err := b.InsertRule(iptables.NATTable, before, c.rule.markedLine()); err != nil {
			return rules, err
		}
		var err error
		if rules, err = b.readRules(ctx); err != nil {
			return rules, err
		}
	}
	return rules, fmt.Errorf("%s holds the rule of the control behind %q again and again: another program inserts rules all the time", b.placeName(), network.text)
}

// isRule reports whether c is this rule. There may be no control.
func (c *ControlRule) isRule(r rule) bool { return c != nil && c.rule.equals(r) }

// controlStep is the journalled step that inserts the rule of the control with
// iptables. The words of the rule contain the mark.
type controlStep struct {
	Path string   `json:"path"`
	Spec []string `json:"spec"`
}

const controlKind = "nat.control"

// controlText returns the rule that masquerades the packets of some connections which
// leave the subnet by another interface than its bridge, as iptables prints it.
func controlText(subnet netip.Prefix, bridge string, of snat.Connections) string {
	return fmt.Sprintf("-A %s -s %v -d %v ! -o %s -p %[5]s -m %[5]s --sport %d:%d -j MASQUERADE",
		iptables.Postrouting, subnet, of.Server, bridge, snat.Protocol(of.UDP), of.Ports.First, of.Ports.Last)
}

// parseControl checks the text of a rule of a control.
func parseControl(text string) error {
	words := strings.Fields(text)
	if len(words) != 17 {
		return foreignRuleError(text)
	}
	subnet, err := netip.ParsePrefix(words[3])
	if err != nil {
		return foreignRuleError(text)
	}
	server, err := netip.ParsePrefix(words[5])
	if err != nil {
		return foreignRuleError(text)
	}
	of := snat.Connections{Server: server, UDP: words[10] == snat.Protocol(true),
		Ports: snat.ParsePorts(strings.Replace(words[14], ":", "-", 1))}
	return checkControl(text, subnet, words[8], of)
}

// checkControl returns an error unless a text is that of a rule of a control with these
// parts.
func checkControl(text string, subnet netip.Prefix, bridge string, of snat.Connections) error {
	_, _, err := parseMasquerade(masqueradeText(subnet, bridge))
	if err != nil || !snat.IsServer(of.Server, subnet) || of.Ports.First == 0 || of.Ports.First >= of.Ports.Last || text != controlText(subnet, bridge, of) {
		return foreignRuleError(text)
	}
	return nil
}

// insertControl inserts the rule before the network's rule.
func (b iptablesBackend) insertControl(ctx context.Context, journal *undo.Journal, network rule, of snat.Connections) (rule, error) {
	subnet, bridge, err := parseMasquerade(network.text)
	if err != nil {
		return rule{}, err
	}
	text := controlText(subnet, bridge, of)
	if err := parseControl(text); err != nil { // nothing is written that would not be undone
		return rule{}, err
	}
	rules, err := b.readRules(ctx)
	if err != nil {
		return rule{}, err
	}
	if err := checkNoRule(iptables.Postrouting, rules, text); err != nil {
		return rule{}, err
	}
	written, _, err := b.insertBefore(ctx, journal, network, text, func(r rule) undo.Step {
		return undo.NewStep(controlKind, "masquerade rule "+r.text, b.DeleteCommand(iptables.NATTable, r.markedLine()),
			controlStep{Path: b.Path, Spec: r.markedSpec()})
	})
	return written, err
}

// insertBefore inserts a rule of snatlab's own before the network's rule.
func (b iptablesBackend) insertBefore(ctx context.Context, journal *undo.Journal, network rule, text string, newStep func(rule) undo.Step) (rule, *undo.Entry, error) {
	return writeOwned(ctx, b.Program, journal, iptables.NATTable, text, func(r rule) (undo.Step, func() error) {
		return newStep(r), func() error {
			rules, err := b.readRules(undo.Context(ctx))
			if err != nil {
				return err
			}
			at := positionOf(rules, network)
			if at == 0 {
				return noRuleError(b, network.text)
			}
			return b.InsertRule(iptables.NATTable, at, r.markedLine())
		}
	})
}

// deleteRule undoes the insertion.
func (s controlStep) deleteRule(ctx context.Context) error {
	r, err := ruleOf(iptables.Postrouting, s.Spec)
	if err != nil {
		return err
	}
	if err := parseControl(r.text); err != nil {
		return err
	}
	return removeOwned(ctx, s.Path, iptables.NATTable, iptables.Postrouting, r)
}

// insertControl inserts the rule before the network's rule.
func (b nftablesBackend) insertControl(ctx context.Context, journal *undo.Journal, network rule, of snat.Connections) (rule, error) {
	r, err := nftables.ControlOf(network.text, of)
	if err != nil {
		return rule{}, err
	}
	return rule{text: r.Text()}, nftables.InsertControl(ctx, journal, network.text, r)
}

// goneError returns the error for a rule that another program removed.
func goneError(what string, r rule, b backend) error {
	return fmt.Errorf("the %s %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)",
		what, r.text, b.placeName())
}
