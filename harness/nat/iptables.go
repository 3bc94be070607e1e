package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"

	"snatlab/harness/nat/compat"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// iptablesBackend holds masquerade rules in one variant of iptables.
type iptablesBackend struct{ *iptables.Program }

// masqueradeText returns the rule that masquerades packets which leave the subnet
// by another interface than its bridge, as iptables prints it.
func masqueradeText(subnet netip.Prefix, bridge string) string {
	return fmt.Sprintf("-A %s -s %v ! -o %s -j MASQUERADE", iptables.Postrouting, subnet, bridge)
}

// FindRule returns the rule that masquerades packets which leave the subnet by
// another interface than its bridge. It looks in each of the variants. If there
// is no such rule, the error is a [NoRuleError].
func FindRule(ctx context.Context, variants []*iptables.Program, subnet netip.Prefix, bridge string) (*Rule, error) {
	return findMarked(ctx, variants, subnet, bridge, "")
}

// findMarked returns that rule with a mark.
func findMarked(ctx context.Context, variants []*iptables.Program, subnet netip.Prefix, bridge, mark string) (*Rule, error) {
	want := rule{text: masqueradeText(subnet, bridge), mark: mark}
	missing := &NoRuleError{Subnet: subnet, want: want.text}
	for _, p := range variants {
		rules, err := iptablesBackend{p}.readRules(ctx)
		if err != nil {
			return nil, err
		}
		if positionOf(rules, want) != 0 {
			return &Rule{Text: want.text, mark: mark, backend: iptablesBackend{p}}, nil
		}
		for i, r := range rules {
			missing.found = append(missing.found, foundRule{rule: r, at: i + 1, variant: p.Variant})
		}
	}
	return nil, missing
}

// masqueradeStep is the journalled step that makes a masquerade rule of
// snatlab's own.
type masqueradeStep struct {
	Path string   `json:"path"`
	Spec []string `json:"spec"`
}

const masqueradeKind = "nat.masquerade"

// MasqueradeIPTables makes the rule that masquerades packets which leave the
// subnet by another interface than its bridge, as Docker makes it for its
// networks. An existing rule of that text belongs to another program and is an
// error.
func MasqueradeIPTables(ctx context.Context, journal *undo.Journal, p *iptables.Program, subnet netip.Prefix, bridge string) (*Rule, error) {
	r, err := makeMasquerade(ctx, journal, p, subnet.Masked(), bridge)
	if err != nil {
		return nil, fmt.Errorf("make masquerade rule of %v with %s: %w", subnet, p.Name(), err)
	}
	return r, nil
}

func makeMasquerade(ctx context.Context, journal *undo.Journal, p *iptables.Program, subnet netip.Prefix, bridge string) (*Rule, error) {
	if p.Family != iptables.FamilyOf(subnet.Addr()) {
		return nil, fmt.Errorf("%s has no rules for %v: it is for the other family of addresses", p.Path, subnet)
	}
	// Listing also shows, before there is anything to undo, whether the kernel
	// has this table.
	rules, err := iptablesBackend{p}.readRules(ctx)
	if err != nil {
		return nil, err
	}
	text := masqueradeText(subnet, bridge)
	if err := checkNoRule(iptables.Postrouting, rules, text); err != nil {
		return nil, err
	}
	r, _, err := writeOwned(ctx, p, journal, iptables.NATTable, text, func(r rule) (undo.Step, func() error) {
		step := undo.NewStep(masqueradeKind, "masquerade rule "+r.text, p.DeleteCommand(iptables.NATTable, r.markedLine()),
			masqueradeStep{Path: p.Path, Spec: r.markedSpec()})
		return step, func() error { return p.AppendRule(iptables.NATTable, r.markedLine()) }
	})
	if err != nil {
		return nil, err
	}
	return findMarked(ctx, []*iptables.Program{p}, subnet, bridge, r.mark)
}

func (s masqueradeStep) deleteRule(ctx context.Context) error {
	r, err := ruleOf(iptables.Postrouting, s.Spec)
	if err != nil {
		return err
	}
	if _, _, err := parseMasquerade(r.text); err != nil {
		return err
	}
	return removeOwned(ctx, s.Path, iptables.NATTable, iptables.Postrouting, r)
}

// plainTarget is the end of the text of a masquerade rule without options.
const plainTarget = " -j MASQUERADE"

func (b iptablesBackend) programName() string { return b.Name() }

func (iptablesBackend) placeName() string { return iptables.Postrouting }

// rewriteText replaces the end of the rule's text: see masqueradeText.
func (iptablesBackend) rewriteText(original string, o snat.Options) string {
	end, target := "", "MASQUERADE"
	if o.ToPorts != (snat.PortRange{}) {
		end = " -p " + snat.Protocol(o.UDP)
	}
	if o.PerMillion != 0 {
		end += drawText(o.PerMillion)
	}
	if o.ToSource != (snat.AddressRange{}) {
		target = "SNAT"
	}
	end += " " + compat.Text(target, o)
	return strings.TrimSuffix(original, plainTarget) + end
}

func (b iptablesBackend) readRules(ctx context.Context) ([]rule, error) {
	return listRules(ctx, b.Program, iptables.NATTable, iptables.Postrouting)
}

// replaceRule deletes the old rule by its text and its mark. To replace it by
// number, as `iptables -R` does, would hit another rule if one was inserted above
// it since the listing.
func (b iptablesBackend) replaceRule(ctx context.Context, rules []rule, old, written rule, _ snat.Options) error {
	at := positionOf(rules, old)
	switch {
	case at == 0:
		return noRuleError(b, old.text)
	case countRule(rules, old) > 1 && old.mark == "":
		return ambiguousRuleError(iptables.Postrouting, rules, old)
	}
	if err := b.InsertRule(iptables.NATTable, at, written.markedLine()); err != nil {
		return err
	}
	return b.deleteRule(ctx, old)
}

// deleteRule deletes the first rule of this text and this mark.
func (b iptablesBackend) deleteRule(_ context.Context, r rule) error {
	return b.DeleteRule(iptables.NATTable, r.markedLine())
}

func (iptablesBackend) newMark(j *undo.Journal) string { return markOf(j) }

// rewriteStep is the journalled step that puts one rule in place of another. The
// texts contain the marks.
type rewriteStep struct {
	Path      string `json:"path"`
	Original  string `json:"original"` // text
	Rewritten string `json:"rewritten"`
}

const rewriteKind = "nat.rewrite"

// newRewriteStep returns the step. Its manual command deletes the rule: Docker
// deletes the original together with its network only if the rule exists at that
// moment, so a restored original could outlive its network. For a network that
// outlives the run the command restores the original.
func (b iptablesBackend) newRewriteStep(original, rewritten rule, outlivesRun bool) undo.Step {
	manual := b.DeleteCommand(iptables.NATTable, rewritten.markedLine())
	if outlivesRun {
		manual = b.InsertCommand(iptables.NATTable, original.markedLine()) + " && " + manual
	}
	return undo.NewStep(rewriteKind, "masquerade rule "+rewritten.text, manual,
		rewriteStep{Path: b.Path, Original: original.markedLine(), Rewritten: rewritten.markedLine()})
}

// restoreRule restores the original rule. If its network was removed, it deletes
// the rewritten rule, which Docker did not find.
func (s rewriteStep) restoreRule(ctx context.Context) error {
	original, rewritten, bridge, err := s.parseRules()
	if err != nil {
		return err
	}
	p, err := openProgram(s.Path, original.text)
	if err != nil || p.LacksTable(iptables.NATTable) {
		return err
	}
	return restoreRule(ctx, iptablesBackend{p}, original, rewritten, lacksLink(bridge))
}

// lacksLink reports whether there is no interface of this name. An error of the
// look-up is no reason to remove the rule of a network.
func lacksLink(name string) bool {
	_, err := netlink.LinkByName(name)
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return gone
}
