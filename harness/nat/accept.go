package nat

import (
	"context"
	"fmt"
	"strings"

	"snatlab/harness/undo"
)

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

func (s accept) remove(context.Context) error {
	t, err := open(s.Path)
	if err != nil {
		return err
	}
	return t.ipt.DeleteIfExists("filter", s.Chain, s.Spec...)
}
