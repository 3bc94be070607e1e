package nat

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"snatlab/harness/undo"
)

const (
	table = "nat"
	chain = "POSTROUTING"
)

// Options are those of the MASQUERADE target.
type Options struct {
	Random      bool
	RandomFully bool
}

// flags are the options as iptables takes them.
func (o Options) flags() []string {
	switch {
	case o.RandomFully:
		return []string{"--random-fully"}
	case o.Random:
		return []string{"--random"}
	}
	return nil
}

// Rule is the masquerade rule of one network, as its owner made it.
type Rule struct {
	Text   string // as `iptables -S` prints it
	tables *Tables
	spec   []string
}

// Find looks for the rule that masquerades what leaves the subnet by another
// interface than its bridge, in each of the variants.
func Find(ctx context.Context, variants []*Tables, subnet netip.Prefix, bridge string) (*Rule, error) {
	want := []string{"-s", subnet.String(), "!", "-o", bridge, "-j", "MASQUERADE"}
	var seen []string
	for _, t := range variants {
		rules, err := t.list(ctx, table, chain)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if slices.Equal(r.spec, want) {
				return &Rule{Text: r.text, tables: t, spec: r.spec}, nil
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

// Tables is the variant of iptables that holds the rule.
func (r *Rule) Tables() *Tables { return r.tables }

// rewrite is the journalled step: one rule stands in place of another.
type rewrite struct {
	Path      string   `json:"path"`
	Original  string   `json:"original"` // text
	Rewritten string   `json:"rewritten"`
	Spec      []string `json:"spec"` // of the original
}

// KindRewrite is the kind of the step that a rewritten rule is.
const KindRewrite = "nat.rewrite"

// InForce is the masquerade rule as it stands for an arm.
type InForce struct {
	text    string
	tables  *Tables
	journal *undo.Journal
	entry   *undo.Entry // nil: the rule is the original
}

// Apply gives the rule the options; at no moment is there no rule. Without
// options the rule stays what it is.
func (r *Rule) Apply(ctx context.Context, journal *undo.Journal, options Options) (*InForce, error) {
	f := &InForce{text: r.Text, tables: r.tables, journal: journal}
	flags := options.flags()
	if flags == nil {
		_, err := f.Packets(ctx) // is it still there?
		return f, err
	}
	step := rewrite{Path: r.tables.Path, Original: r.Text, Rewritten: r.Text + " " + strings.Join(flags, " "), Spec: r.spec}
	// The original would outlive its network: Docker deletes it with that, if
	// it is there.
	manual := fmt.Sprintf("%s -t %s -D%s", r.tables.Path, table, strings.TrimPrefix(step.Rewritten, "-A"))
	entry, err := journal.Do(ctx, undo.NewStep(KindRewrite, "masquerade rule "+step.Rewritten, manual, step),
		func(ctx context.Context) error {
			return r.tables.replace(ctx, r.Text, step.Rewritten, slices.Concat(r.spec, flags))
		})
	if err != nil {
		return nil, fmt.Errorf("rewrite masquerade rule %s: %w", r.Text, err)
	}
	f.text, f.entry = step.Rewritten, &entry
	return f, nil
}

// Rule is the text of the rule in force.
func (f *InForce) Rule() string { return f.text }

// Packets counts what the rule matched since it was written: the first packet
// of each connection. That the rule is gone is an error: somebody rewrote it.
func (f *InForce) Packets(ctx context.Context) (uint64, error) {
	rules, err := f.tables.list(ctx, table, chain)
	if err != nil {
		return 0, err
	}
	at := position(rules, f.text)
	if at == 0 {
		return 0, fmt.Errorf("the masquerade rule %q is gone from %s: something else rewrote the rules (a restart of Docker, a reload of the firewall?)", f.text, chain)
	}
	return rules[at-1].packets, nil
}

// Undo puts the original rule back.
func (f *InForce) Undo(ctx context.Context) error {
	if f.entry == nil {
		return nil
	}
	return f.journal.Undo(ctx, *f.entry)
}

// replace puts a rule in the place of another and looks that it stands there.
// The old one is deleted by its text: by number, as `iptables -R` has it, a
// rule would be hit that somebody inserted above since the listing.
func (t *Tables) replace(ctx context.Context, old, text string, spec []string) error {
	rules, err := t.list(ctx, table, chain)
	if err != nil {
		return err
	}
	at := position(rules, old)
	if at == 0 {
		return fmt.Errorf("no rule %q in %s", old, chain)
	}
	if err := t.ipt.Insert(table, chain, at, spec...); err != nil {
		return err
	}
	if err := t.ipt.Delete(table, chain, rules[at-1].spec...); err != nil {
		return err
	}
	after, err := t.list(ctx, table, chain)
	if err != nil {
		return err
	}
	if position(after, text) == 0 || position(after, old) != 0 {
		return fmt.Errorf("%s took the rule, but %s now reads %q", t.Path, chain, texts(after))
	}
	return nil
}

// restore undoes a rewrite. If the original is there already, as after a
// restart of Docker, the rewritten rule is one too many, and so it is if the
// network was removed: Docker did not find it then. If neither rule is there,
// nothing is left to restore.
func (s rewrite) restore(ctx context.Context) error {
	t, err := open(s.Path)
	if err != nil {
		return err
	}
	rules, err := t.list(ctx, table, chain)
	if err != nil {
		return err
	}
	rewritten := position(rules, s.Rewritten)
	switch {
	case rewritten == 0:
		return nil
	case position(rules, s.Original) != 0, s.networkGone():
		return t.ipt.Delete(table, chain, rules[rewritten-1].spec...)
	}
	return t.replace(ctx, s.Rewritten, s.Original, s.Spec)
}

// networkGone tells whether the bridge, "-o BRIDGE" in the rule, is no more. A
// doubt is no reason to take a network's rule away.
func (s rewrite) networkGone() bool {
	at := slices.Index(s.Spec, "-o") + 1
	if at == 0 || at == len(s.Spec) {
		return false
	}
	_, err := netlink.LinkByName(s.Spec[at])
	_, gone := errors.AsType[netlink.LinkNotFoundError](err)
	return gone
}

func texts(rules []rule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, r.text)
	}
	return all
}

// accept is the journalled step: a rule that lets the lab's packets through.
type accept struct {
	Path  string   `json:"path"`
	Chain string   `json:"chain"`
	Spec  []string `json:"spec"`
}

// KindAccept is the kind of the step that a rule of Accept is.
const KindAccept = "nat.accept"

// Accept inserts a rule on top of a chain of the filter table that lets
// packets pass from one interface to another.
func (t *Tables) Accept(ctx context.Context, journal *undo.Journal, chain, in, out string) error {
	spec := []string{"-i", in, "-o", out, "-j", "ACCEPT"}
	text := strings.Join(append([]string{chain}, spec...), " ")
	manual := fmt.Sprintf("%s -t filter -D %s", t.Path, text)
	step := undo.NewStep(KindAccept, "filter rule -A "+text, manual, accept{Path: t.Path, Chain: chain, Spec: spec})
	_, err := journal.Do(ctx, step, func(context.Context) error { return t.ipt.Insert("filter", chain, 1, spec...) })
	if err != nil {
		return fmt.Errorf("insert rule into %s: %w", chain, err)
	}
	return nil
}

func (s accept) remove(ctx context.Context) error {
	t, err := open(s.Path)
	if err != nil {
		return err
	}
	return t.ipt.DeleteIfExists("filter", s.Chain, s.Spec...)
}

// Undoers undo what this package changes.
func Undoers() undo.Undoers {
	return undo.Undoers{
		KindRewrite: undo.With(func(ctx context.Context, s rewrite) error { return s.restore(ctx) }),
		KindAccept:  undo.With(func(ctx context.Context, s accept) error { return s.remove(ctx) }),
	}
}

// lookPath resolves a program's name and what it links to.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
