package nat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// A rule for a part of the connections (snat.Options.PerMillion) is inserted before the
// rule of the network, which stays as it is. Of each connection the kernel draws
// whether it passes the inserted rule, which makes NAT draw its source port. The others
// pass the rule of the network.

// insertDrawing puts such a rule in force.
func (a *AppliedRule) insertDrawing(ctx context.Context, o snat.Options) (err error) {
	drawing, entry, err := a.backend.insertDrawing(ctx, a.journal, a.rule, o)
	a.entry = entry
	if err != nil {
		return err
	}
	a.drawing = &drawing
	if a.listed, err = a.backend.readRules(ctx); err != nil {
		return err
	}
	if own, network := positionOf(a.listed, drawing), positionOf(a.listed, a.rule); own == 0 || network == 0 || own > network {
		return fmt.Errorf("%s accepted the rule %q, but %s now holds %q", a.backend.programName(), drawing.text, a.backend.placeName(), ruleTexts(a.listed))
	}
	return nil
}

// firstRule returns the first of the rules that the connections of the arm reach.
func (a *AppliedRule) firstRule() rule {
	if a.drawing != nil {
		return *a.drawing
	}
	return a.rule
}

// isOurs reports whether a rule is one of those that translate the lab's connections.
func (a *AppliedRule) isOurs(r rule) bool {
	return r.equals(a.rule) || a.control.isRule(r) || a.drawing != nil && r.equals(*a.drawing)
}

// drawingStep is the journalled step that inserts a rule for a part of the connections
// with iptables. The words of the rule contain the mark.
type drawingStep struct {
	Path string   `json:"path"`
	Spec []string `json:"spec"`
}

const drawingKind = "nat.drawing"

// drawingText returns the text of such a rule as iptables prints it. The kernel holds
// the probability as a number of 31 bits, and iptables prints 11 digits of that
// (extensions/libxt_statistic.c).
func drawingText(original string, perMillion uint32) string {
	const whole = 1 << 31
	probability := math.Round(float64(perMillion)/snat.Million*whole) / whole
	return strings.TrimSuffix(original, plainTarget) + fmt.Sprintf(" -m statistic --mode random --probability %.11f%s --random-fully", probability, plainTarget)
}

// parseDrawing checks the text of such a rule.
func parseDrawing(text string) error {
	words := strings.Fields(text)
	if len(words) != 16 {
		return foreignRuleError(text)
	}
	probability, err := strconv.ParseFloat(words[12], 64)
	original := strings.Join(words[:7], " ") + plainTarget
	if _, _, parseErr := parseMasquerade(original); err != nil || parseErr != nil || !(probability > 0 && probability < 1) {
		return foreignRuleError(text)
	}
	if perMillion := uint32(math.Round(probability * snat.Million)); text != drawingText(original, perMillion) {
		return foreignRuleError(text)
	}
	return nil
}

// insertDrawing inserts the rule before the network's rule.
func (b iptablesBackend) insertDrawing(ctx context.Context, journal *undo.Journal, network rule, o snat.Options) (rule, *undo.Entry, error) {
	written, entry, err := b.insertBefore(ctx, journal, network, b.rewriteText(network.text, o), func(r rule) undo.Step {
		return undo.NewStep(drawingKind, "masquerade rule "+r.text, b.DeleteCommand(iptables.NATTable, r.markedLine()),
			drawingStep{Path: b.Path, Spec: r.markedSpec()})
	})
	if _, refused := errors.AsType[*iptables.RefusedError](err); refused {
		err = fmt.Errorf("%w (does this kernel have xt_statistic? CONFIG_NETFILTER_XT_MATCH_STATISTIC)", err)
	}
	return written, entry, err
}

// deleteRule undoes the insertion.
func (s drawingStep) deleteRule(ctx context.Context) error {
	r, err := ruleOf(iptables.Postrouting, s.Spec)
	if err != nil {
		return err
	}
	if err := parseDrawing(r.text); err != nil {
		return err
	}
	return removeOwned(ctx, s.Path, iptables.NATTable, iptables.Postrouting, r)
}

// insertDrawing inserts the rule before the network's rule.
func (b nftablesBackend) insertDrawing(ctx context.Context, journal *undo.Journal, network rule, o snat.Options) (rule, *undo.Entry, error) {
	r, err := nftables.DrawingOf(network.text, o)
	if err != nil {
		return rule{}, nil, err
	}
	entry, err := nftables.InsertDrawing(ctx, journal, network.text, r)
	return rule{text: r.Text()}, entry, err
}
