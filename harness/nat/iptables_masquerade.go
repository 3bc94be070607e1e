package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"snatlab/harness/undo"
)

// Where iptables has its masquerade rules.
const (
	table = "nat"
	chain = "POSTROUTING"
)

// masquerading is the rule that masquerades what leaves the subnet by another
// interface than its bridge, as iptables takes it.
func masquerading(subnet netip.Prefix, bridge string) []string {
	return []string{"-s", subnet.String(), "!", "-o", bridge, "-j", "MASQUERADE"}
}

// Find looks for the rule that masquerades what leaves the subnet by another
// interface than its bridge, in each of the variants.
func Find(ctx context.Context, variants []*Tables, subnet netip.Prefix, bridge string) (*Rule, error) {
	want := masquerading(subnet, bridge)
	var seen []string
	for _, t := range variants {
		rules, err := t.read(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if spec, err := specOf(r.text); err == nil && slices.Equal(spec, want) {
				return &Rule{Text: r.text, backend: t}, nil
			}
			seen = append(seen, fmt.Sprintf("%s (%s)", r.text, t.Variant))
		}
	}
	if seen == nil {
		seen = []string{"no rule at all"}
	}
	return nil, fmt.Errorf("no masquerade rule of %v: expected -A %s %s in table %s; found %s",
		subnet, chain, strings.Join(want, " "), table, strings.Join(seen, ", "))
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
	spec := masquerading(subnet, bridge)
	text := "-A " + chain + " " + strings.Join(spec, " ")
	if position(rules, text) != 0 {
		return nil, fmt.Errorf("%s is there already", text)
	}
	manual := fmt.Sprintf("%s -t %s -D%s", t.Path, table, strings.TrimPrefix(text, "-A"))
	step := undo.NewStep(KindMasquerade, "masquerade rule "+text, manual, masquerade{Path: t.Path, Spec: spec})
	if _, err := journal.Do(ctx, step, func(context.Context) error { return t.ipt.Append(table, chain, spec...) }); err != nil {
		return nil, err
	}
	return Find(ctx, []*Tables{t}, subnet, bridge)
}

func (s masquerade) remove(context.Context) error {
	t, err := open(s.Path)
	if err != nil {
		return err
	}
	return t.ipt.DeleteIfExists(table, chain, s.Spec...)
}

func (t *Tables) program() string { return "iptables " + t.Version() }

func (t *Tables) place() string { return chain }

// rewritten puts another end to the text of the rule: see masquerading.
func (t *Tables) rewritten(original string, o Options) string {
	const plain = " -j MASQUERADE"
	end := plain
	switch {
	case o.ToPorts != Ports{}:
		end = " -p tcp" + plain + " --to-ports " + o.ToPorts.String()
	case o.ToSource != Addresses{}:
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

// replace deletes the old rule by its text: by number, as `iptables -R` has it,
// a rule would be hit that somebody inserted above since the listing.
func (t *Tables) replace(ctx context.Context, old, text string, _ Options) error {
	rules, err := t.read(ctx)
	if err != nil {
		return err
	}
	at := position(rules, old)
	if at == 0 {
		return absent(t, old)
	}
	spec, err := specOf(text)
	if err != nil {
		return err
	}
	if err := t.ipt.Insert(table, chain, at, spec...); err != nil {
		return t.refused(text, err)
	}
	return t.remove(ctx, old)
}

// refused says what it means that an old program does not take a rule.
func (t *Tables) refused(text string, err error) error {
	if !strings.Contains(err.Error(), "unknown option") {
		return err
	}
	return fmt.Errorf("%s is too old for %q (--random-fully needs 1.6.2): %w", t.program(), text, err)
}

func (t *Tables) remove(_ context.Context, text string) error {
	spec, err := specOf(text)
	if err != nil {
		return err
	}
	return t.ipt.Delete(table, chain, spec...)
}

// rewrite is the journalled step: one rule stands in place of another.
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
func (t *Tables) rewriting(original, rewritten string, lasting bool) undo.Step {
	manual := fmt.Sprintf("%s -t %s -D%s", t.Path, table, strings.TrimPrefix(rewritten, "-A"))
	if lasting {
		manual = fmt.Sprintf("%s -t %s -I%s && %s", t.Path, table, strings.TrimPrefix(original, "-A"), manual)
	}
	return undo.NewStep(KindRewrite, "masquerade rule "+rewritten, manual, rewrite{Path: t.Path, Original: original, Rewritten: rewritten})
}

// restore deletes the rule of a network that was removed: Docker did not find
// it then.
func (s rewrite) restore(ctx context.Context) error {
	t, err := open(s.Path)
	if err != nil {
		return err
	}
	return restore(ctx, t, s.Original, s.Rewritten, s.networkGone())
}

// networkGone tells whether the bridge, "-o BRIDGE" in the rule, is no more. A
// doubt is no reason to take a network's rule away.
func (s rewrite) networkGone() bool {
	spec, _ := specOf(s.Original)
	at := slices.Index(spec, "-o") + 1
	if at == 0 || at == len(spec) {
		return false
	}
	_, err := netlink.LinkByName(spec[at])
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return gone
}
