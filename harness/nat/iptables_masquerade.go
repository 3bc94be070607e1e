package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"

	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// Where iptables has its masquerade rules.
const (
	table = "nat"
	chain = "POSTROUTING"
)

// masqueradingText returns the rule that masquerades what leaves the subnet by
// another interface than its bridge, as iptables prints it.
func masqueradingText(subnet netip.Prefix, bridge string) string {
	return fmt.Sprintf("-A %s -s %v ! -o %s -j MASQUERADE", chain, subnet, bridge)
}

// Find looks for the rule that masquerades what leaves the subnet by another
// interface than its bridge, in each of the variants. If there is none, the
// error is a [NoRuleError].
func Find(ctx context.Context, variants []*Tables, subnet netip.Prefix, bridge string) (*Rule, error) {
	return findMarked(ctx, variants, subnet, bridge, "")
}

// findMarked looks for that rule with a mark.
func findMarked(ctx context.Context, variants []*Tables, subnet netip.Prefix, bridge, mark string) (*Rule, error) {
	want := rule{text: masqueradingText(subnet, bridge), mark: mark}
	missing := &NoRuleError{Subnet: subnet, want: want.text}
	for _, t := range variants {
		rules, err := t.read(ctx)
		if err != nil {
			return nil, err
		}
		if position(rules, want) != 0 {
			return &Rule{Text: want.text, mark: mark, backend: t}, nil
		}
		for i, r := range rules {
			missing.found = append(missing.found, foundRule{rule: r, at: i + 1, tables: t})
		}
	}
	return nil, missing
}

// masquerade is the journalled step: a rule of our own.
type masquerade struct {
	Path string   `json:"path"`
	Spec []string `json:"spec"`
}

// KindMasquerade is the kind of the step that a rule of Masquerade is.
const KindMasquerade = "nat.masquerade"

// Masquerade makes the rule that masquerades what leaves the subnet by another
// interface than its bridge: the one that Docker makes for its networks. One
// that is there already has an owner: that is an error.
func (t *Tables) Masquerade(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, bridge string) (*Rule, error) {
	r, err := t.masquerade(ctx, journal, subnet.Masked(), bridge)
	if err != nil {
		return nil, fmt.Errorf("make masquerade rule of %v with %s: %w", subnet, t.program(), err)
	}
	return r, nil
}

func (t *Tables) masquerade(ctx context.Context, journal *undo.Journal, subnet netip.Prefix, bridge string) (*Rule, error) {
	// To list is also to find out, before there is anything to undo, whether
	// the kernel has this table.
	rules, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	text := masqueradingText(subnet, bridge)
	if err := checkNone(chain, rules, text); err != nil {
		return nil, err
	}
	r, err := t.writeOurs(ctx, journal, table, text, func(r rule) (undo.Step, func() error) {
		step := undo.NewStep(KindMasquerade, "masquerade rule "+r.text, t.deleting(table, r), masquerade{Path: t.Path, Spec: r.spec()})
		return step, func() error { return t.change(table, "-A", 0, r) }
	})
	if err != nil {
		return nil, err
	}
	return findMarked(ctx, []*Tables{t}, subnet, bridge, r.mark)
}

func (s masquerade) remove(ctx context.Context) error {
	r, err := ruleOf(chain, s.Spec)
	if err != nil {
		return err
	}
	if _, _, err := parseMasquerading(r.text); err != nil {
		return err
	}
	return removeOurs(ctx, s.Path, table, chain, r)
}

func (t *Tables) program() string { return "iptables " + t.Version() }

func (t *Tables) place() string { return chain }

// rewritten puts another end to the text of the rule: see masqueradingText.
func (t *Tables) rewritten(original string, o snat.Options) string {
	const plain = " -j MASQUERADE"
	end := plain
	switch {
	case o.ToPorts != snat.Ports{}:
		end = " -p tcp" + plain + " --to-ports " + o.ToPorts.String()
	case o.ToSource != snat.Addresses{}:
		end = " -j SNAT --to-source " + o.ToSource.String()
	}
	switch {
	case o.RandomFully:
		end += " --random-fully"
	case o.Random:
		end += " --random"
	}
	return strings.TrimSuffix(original, plain) + end
}

func (t *Tables) read(ctx context.Context) ([]rule, error) { return t.list(ctx, table, chain) }

// replace deletes the old rule by its text and its mark: by number, as
// `iptables -R` has it, a rule would be hit that somebody inserted above since
// the listing.
func (t *Tables) replace(ctx context.Context, old, written rule, _ snat.Options) error {
	rules, err := t.read(ctx)
	if err != nil {
		return err
	}
	at := position(rules, old)
	switch {
	case at == 0:
		return absent(t, old.text)
	case count(rules, old) > 1 && old.mark == "":
		return ambiguous(chain, rules, old)
	}
	if err := t.change(table, "-I", at, written); err != nil {
		return err
	}
	return t.remove(ctx, old)
}

// remove deletes the first rule of this text and this mark.
func (t *Tables) remove(_ context.Context, r rule) error { return t.change(table, "-D", 0, r) }

func (t *Tables) mark(j *undo.Journal) string { return markOf(j) }

// rewrite is the journalled step: one rule stands in place of another. The
// texts contain the marks.
type rewrite struct {
	Path      string `json:"path"`
	Original  string `json:"original"` // text
	Rewritten string `json:"rewritten"`
}

// KindRewrite is the kind of the step that a rewritten rule is.
const KindRewrite = "nat.rewrite"

// rewriting says to delete the rule by hand: the original would outlive its
// network, since Docker deletes it with that, if it is there. A network that
// lasts takes the original.
func (t *Tables) rewriting(original, rewritten rule, lasting bool) undo.Step {
	manual := t.deleting(table, rewritten)
	if lasting {
		manual = fmt.Sprintf("%s -t %s -I%s && %s", t.Path, table, strings.TrimPrefix(original.line(), "-A"), manual)
	}
	return undo.NewStep(KindRewrite, "masquerade rule "+rewritten.text, manual,
		rewrite{Path: t.Path, Original: original.line(), Rewritten: rewritten.line()})
}

// restore deletes the rule of a network that was removed: Docker did not find
// it then.
func (s rewrite) restore(ctx context.Context) error {
	original, rewritten, bridge, err := s.rules()
	if err != nil {
		return err
	}
	t, err := openJournalled(s.Path)
	if err != nil || t.lacks(table) {
		return err
	}
	return restore(ctx, t, original, rewritten, linkGone(bridge))
}

// linkGone reports whether there is no interface of this name. A doubt is no
// reason to remove the rule of a network.
func linkGone(name string) bool {
	_, err := netlink.LinkByName(name)
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return gone
}
