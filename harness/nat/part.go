package nat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// A rule for a part of the connections (snat.Part) is inserted before the rule of the
// network, behind that of the control. The other connections pass the rule of the network.
//
// The part is the connections of one client, which gets ports of its own, or a share of all
// connections: of each the kernel draws whether it passes the inserted rule.

// insertParts puts such rules in force, in their order.
func (a *AppliedRule) insertParts(ctx context.Context, network string, parts []snat.Part) error {
	for _, p := range parts {
		written, entry, err := a.backend.insertPart(ctx, a.journal, a.rule, network, p)
		if entry != nil {
			a.entries = append(a.entries, *entry)
		}
		if err != nil {
			return err
		}
		a.parts = append(a.parts, written)
	}
	if len(parts) == 0 {
		return nil
	}
	var err error
	if a.listed, err = a.backend.readRules(ctx); err != nil {
		return err
	}
	before := 0
	for _, r := range a.ownRules() {
		at := positionOf(a.listed, r)
		if at <= before {
			return fmt.Errorf("%s accepted the rule %q, but %s now holds %q", a.backend.programName(), r.text, a.backend.placeName(), ruleTexts(a.listed))
		}
		before = at
	}
	return nil
}

// ownRules returns the rules of the arm, in the order in which its connections reach them.
func (a *AppliedRule) ownRules() []rule {
	return append(a.parts[:len(a.parts):len(a.parts)], a.rule)
}

// isOurs reports whether a rule is one of those that translate the lab's connections.
func (a *AppliedRule) isOurs(r rule) bool {
	return r.equals(a.rule) || a.control.isRule(r) || slices.ContainsFunc(a.parts, r.equals)
}

// partStep is the journalled step that inserts a rule for a part of the connections
// with iptables. The words of the rule contain the mark.
type partStep struct {
	Path string   `json:"path"`
	Spec []string `json:"spec"`
}

const partKind = "nat.drawing" // the name in journals of older versions, whose only such rules drew connections

// drawText returns the match of a share of the connections as iptables prints it. The kernel
// holds the probability as a number of 31 bits, and iptables prints 11 digits of that
// (extensions/libxt_statistic.c).
func drawText(perMillion uint32) string {
	const whole = 1 << 31
	probability := math.Round(float64(perMillion)/snat.Million*whole) / whole
	return fmt.Sprintf(" -m statistic --mode random --probability %.11f", probability)
}

// drawnShare returns the share in the text of a rule; 0 if it has none.
func drawnShare(text string) (perMillion uint32) {
	words := strings.Fields(text)
	at := slices.Index(words, "--probability") + 1
	if at == 0 || at == len(words) {
		return 0
	}
	probability, err := strconv.ParseFloat(words[at], 64)
	if err != nil || !(probability > 0 && probability < 1) {
		return 0
	}
	return uint32(math.Round(probability * snat.Million))
}

// partText returns the text of the network's rule for the part, with its options.
func (b iptablesBackend) partText(network string, p snat.Part) (string, error) {
	subnet, bridge, err := parseMasquerade(network)
	if err != nil {
		return "", err
	}
	if p.Source.IsValid() {
		subnet = p.Source
	}
	text := b.rewriteText(masqueradeText(subnet, bridge), p.Options)
	return text, parsePart(text) // nothing is written that would not be undone
}

// parsePart checks the text of such a rule.
func parsePart(text string) error {
	words := strings.Fields(text)
	if len(words) < 9 {
		return foreignRuleError(text)
	}
	original := strings.Join(words[:7], " ") + plainTarget
	source, _, err := parseMasquerade(original)
	if err != nil {
		return foreignRuleError(text)
	}
	p := snat.Part{Options: iptablesOptions(text)}
	if p.Options.PerMillion = drawnShare(text); p.Options.PerMillion == 0 {
		p.Source = source
	}
	if p.Check(source) != nil || text != (iptablesBackend{}).rewriteText(original, p.Options) {
		return foreignRuleError(text)
	}
	return nil
}

// insertPart inserts the rule before the network's rule.
func (b iptablesBackend) insertPart(ctx context.Context, journal *undo.Journal, now rule, network string, p snat.Part) (rule, *undo.Entry, error) {
	text, err := b.partText(network, p)
	if err != nil {
		return rule{}, nil, err
	}
	written, entry, err := b.insertBefore(ctx, journal, now, text, func(r rule) undo.Step {
		return undo.NewStep(partKind, "masquerade rule "+r.text, b.DeleteCommand(iptables.NATTable, r.markedLine()),
			partStep{Path: b.Path, Spec: r.markedSpec()})
	})
	if _, refused := errors.AsType[*iptables.RefusedError](err); refused && p.Options.PerMillion != 0 {
		err = fmt.Errorf("%w (does this kernel have xt_statistic? CONFIG_NETFILTER_XT_MATCH_STATISTIC)", err)
	}
	return written, entry, err
}

// deleteRule undoes the insertion.
func (s partStep) deleteRule(ctx context.Context) error {
	r, err := ruleOf(iptables.Postrouting, s.Spec)
	if err != nil {
		return err
	}
	if err := parsePart(r.text); err != nil {
		return err
	}
	return removeOwned(ctx, s.Path, iptables.NATTable, iptables.Postrouting, r)
}

func (nftablesBackend) partText(network string, p snat.Part) (string, error) {
	r, err := nftables.PartOf(network, p)
	return r.Text(), err
}

// insertPart inserts the rule before the network's rule.
func (b nftablesBackend) insertPart(ctx context.Context, journal *undo.Journal, now rule, network string, p snat.Part) (rule, *undo.Entry, error) {
	r, err := nftables.PartOf(network, p)
	if err != nil {
		return rule{}, nil, err
	}
	entry, err := nftables.InsertPart(ctx, journal, now.text, network, r)
	return rule{text: r.Text()}, entry, err
}
