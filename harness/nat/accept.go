package nat

import (
	"context"
	"fmt"
	"strings"

	"snatlab/harness/undo"
)

// accept is the journalled step: a rule that lets the lab's packets through.
// Its words contain the mark.
type accept struct {
	Path  string   `json:"path"`
	Chain string   `json:"chain"`
	Spec  []string `json:"spec"`
}

// KindAccept is the kind of the step that a rule of Accept is.
const KindAccept = "nat.accept"

// UserChain is where Docker leaves room for rules of others, in the filter
// table.
const UserChain = "DOCKER-USER"

func acceptingText(in, out string) string {
	return fmt.Sprintf("-A %s -i %s -o %s -j ACCEPT", UserChain, in, out)
}

// Accept inserts a rule on top of [UserChain] that lets packets pass from one
// interface to another.
func (t *Tables) Accept(ctx context.Context, journal *undo.Journal, in, out string) error {
	_, err := t.writeOurs(ctx, journal, "filter", acceptingText(in, out), func(r rule) (undo.Step, func() error) {
		step := undo.NewStep(KindAccept, "filter rule "+r.text, t.deleting("filter", r), accept{Path: t.Path, Chain: UserChain, Spec: r.spec()})
		return step, func() error { return t.change("filter", "-I", 1, r) }
	})
	if err != nil {
		return fmt.Errorf("insert rule into %s: %w", UserChain, err)
	}
	return nil
}

func (s accept) remove(ctx context.Context) error {
	if s.Chain != UserChain {
		return foreign(strings.Join(append([]string{"-A", s.Chain}, s.Spec...), " "))
	}
	r, err := ruleOf(s.Chain, s.Spec)
	if err != nil {
		return err
	}
	if err := parseAccepting(r.text); err != nil {
		return err
	}
	return removeOurs(ctx, s.Path, "filter", s.Chain, r)
}
