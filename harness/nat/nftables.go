package nat

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// nftablesBackend writes the masquerade rule of a network in snatlab's own table of
// nftables.
type nftablesBackend struct{ subnet netip.Prefix }

// MasqueradeNFTables makes the nftables rule that masquerades packets which leave
// the subnet by another interface than its bridge. The rule stands in a table of
// its own. An existing table of that name belongs to another program and is an
// error. Where the kernel lacks a part of nftables, the error is a
// [transaction.MissingError].
func MasqueradeNFTables(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, bridge string) (*Rule, error) {
	text, err := nftables.MakeMasquerade(ctx, journal, subnet, bridge)
	if err != nil {
		return nil, fmt.Errorf("make masquerade rule of %v with nftables: %w", subnet, err)
	}
	return &Rule{Text: text, backend: nftablesBackend{subnet}}, nil
}

func (nftablesBackend) programName() string { return "nftables" }

func (b nftablesBackend) placeName() string { return nftables.TableFor(b.subnet).String() }

// rewriteText replaces the statement at the end of the rule's text.
func (nftablesBackend) rewriteText(original string, o snat.Options) string {
	return strings.TrimSuffix(original, nftables.FormatStatement(snat.Options{})) + nftables.FormatStatement(o)
}

func (b nftablesBackend) readRules(ctx context.Context) ([]rule, error) {
	listed, err := nftables.ListRules(ctx, b.subnet)
	var rules []rule
	for _, l := range listed {
		rules = append(rules, rule{text: l.Text, packets: l.Packets})
	}
	return rules, err
}

func (nftablesBackend) replaceRule(ctx context.Context, _ []rule, old, written rule, o snat.Options) error {
	return nftables.ReplaceRule(ctx, old.text, written.text, o)
}

func (nftablesBackend) deleteRule(ctx context.Context, r rule) error {
	return nftables.DeleteRule(ctx, r.text)
}

// nftablesRewrite is the journalled step that puts one rule in place of another.
type nftablesRewrite struct {
	Original  string `json:"original"` // text
	Rewritten string `json:"rewritten"`
}

const nftablesRewriteKind = "nat.nftables-rewrite"

// newRewriteStep returns the step. The rule never outlives the run: its table is
// deleted by a step of its own.
func (nftablesBackend) newRewriteStep(original, rewritten rule, _ bool) undo.Step {
	return undo.NewStep(nftablesRewriteKind, "masquerade rule "+rewritten.text, nftables.RestoreCommand(original.text),
		nftablesRewrite{Original: original.text, Rewritten: rewritten.text})
}

// newMark returns no mark: all rules in the table are snatlab's.
func (nftablesBackend) newMark(*undo.Journal) string { return "" }

func (s nftablesRewrite) restoreRule(ctx context.Context) error {
	original, ok := nftables.ParseRule(s.Original)
	if !ok || !isInterface(original.Bridge) || original.Server.IsValid() {
		return foreignRuleError(s.Original)
	}
	b := nftablesBackend{original.Subnet}
	options := nftables.ParseStatement(strings.TrimPrefix(s.Rewritten, original.Match()))
	if err := checkRewritten(b, s.Original, s.Rewritten, options); err != nil {
		return err
	}
	return restoreRule(ctx, b, rule{text: s.Original}, rule{text: s.Rewritten}, false) // the table is deleted after its rule
}
