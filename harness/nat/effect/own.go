package effect

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/nat/snat"
	"snatlab/harness/undo"
)

// ownRule is a rule of snatlab's own beside a rule of another program.
type ownRule struct {
	nftables.InsertedRule
	mark   string
	beside place
	// besideText is the text of the rule beside which it stands.
	besideText string
	after      bool // behind that rule; else directly before it
}

// The roles of such rules. They are a part of the mark, so each is found by it.
const (
	armRole     = "arm"     // translates for an arm
	controlRole = "control" // translates for the control
	countRole   = "count"   // counts the packets that arrive at a rule
	pastRole    = "past"    // counts the packets that a rule has let pass
)

// newMark returns the mark of the n-th rule of a role.
func newMark(journal *undo.Journal, role string, n int) string {
	run := journal.RunID()
	if run != "" {
		run = "-" + run
	}
	return fmt.Sprintf("snatlab%s_%s_%d", run, role, n)
}

// markForm matches a mark. Every version of iptables prints these characters without
// quotes.
var markForm = regexp.MustCompile(`^snatlab(-[A-Za-z0-9_-]{1,100})?_(arm|control|count|past)_[0-9]{1,5}$`)

func isOwnComment(comment string) bool { return markForm.MatchString(comment) }

// text returns the rule as its program prints it, without its mark.
func (r ownRule) text() string {
	if r.isIPTables() {
		return "-A " + r.beside.chain + " " + strings.Join(r.words(""), " ")
	}
	text := "ip saddr " + nftables.FormatNetwork(r.Source) + " "
	if r.Server.IsValid() {
		text += "ip daddr " + nftables.FormatNetwork(r.Server) + " "
	}
	if r.Ports != (snat.PortRange{}) {
		text += fmt.Sprintf("%s sport %v ", r.Protocol(), r.Ports)
	}
	statement := "counter"
	if !r.Counts {
		statement = nftables.FormatStatement(r.Options)
	}
	if r.beside.table.Family == unix.NFPROTO_INET { // which has addresses of two families
		statement = strings.Replace(statement, "snat to", "snat ip to", 1)
	}
	return text + statement
}

func (r ownRule) isIPTables() bool { return r.beside.legacy != nil || r.beside.compat }

// insertedStep is the journalled step that writes rules of snatlab's own.
type insertedStep struct {
	Rules []insertedPlace `json:"rules"`
}

// insertedPlace is where one of the rules stands.
type insertedPlace struct {
	Path   string `json:"path,omitempty"`   // of the program, for iptables-legacy
	Family byte   `json:"family,omitempty"` // for a table of nftables
	Table  string `json:"table,omitempty"`
	Chain  string `json:"chain"`
	Mark   string `json:"mark"`
}

const insertedKind = "nat.inserted"

// insertRules writes rules as a step of the journal. Those in tables of nftables are
// written in one transaction.
func insertRules(ctx context.Context, journal *undo.Journal, rules []ownRule) (undo.Entry, error) {
	var step insertedStep
	var texts, manual []string
	for _, r := range rules {
		step.Rules = append(step.Rules, r.place())
		texts, manual = append(texts, r.text()), append(manual, r.deleteCommand())
	}
	s := undo.NewStep(insertedKind, "rule "+strings.Join(texts, ", and "), strings.Join(manual, "; "), step)
	return journal.Do(ctx, s, func(ctx context.Context) error {
		var messages []nftables.RuleMessage
		for _, r := range rules {
			if r.beside.legacy == nil {
				messages = append(messages, r.message())
				continue
			}
			if err := r.insertLegacy(ctx); err != nil {
				return fmt.Errorf("insert rule %q: %w", r.text(), err)
			}
		}
		if messages == nil {
			return nil
		}
		if err := nftables.SendRules(ctx, messages...); err != nil {
			return explainInsertion(err, rules)
		}
		return nil
	})
}

func explainInsertion(err error, rules []ownRule) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("insert rule %q: the rule before which it was to stand is gone, or this kernel lacks a part of it (%w)", rules[0].text(), err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("insert rule %q: %w (not root, or the table has the flag owner: only the program that made it can write there)", rules[0].text(), err)
	}
	return fmt.Errorf("insert rule %q: %w", rules[0].text(), err)
}

func (r ownRule) place() insertedPlace {
	if p := r.beside.legacy; p != nil {
		return insertedPlace{Path: p.Path, Chain: r.beside.chain, Mark: r.mark}
	}
	return insertedPlace{Family: r.beside.table.Family, Table: r.beside.table.Name, Chain: r.beside.chain, Mark: r.mark}
}

func (r ownRule) message() nftables.RuleMessage {
	how := netlink.HeaderFlags(0)
	if r.after {
		how = netlink.Append
	}
	return r.Message(r.beside.table, r.beside.chain, how, r.beside.handle, r.mark)
}

// deleteCommand returns the command that deletes the rule by hand.
func (r ownRule) deleteCommand() string {
	switch at := r.beside; {
	case at.legacy != nil:
		return at.legacy.DeleteCommand(iptables.NATTable, r.legacyLine())
	case at.compat:
		return "iptables-nft -t nat -D " + at.chain + " " + strings.Join(r.words(r.mark), " ")
	}
	chain := fmt.Sprintf("%s %s %s", r.beside.table.FamilyName(), r.beside.table.Name, r.beside.chain)
	return fmt.Sprintf(`nft delete rule %s handle $(nft -a list chain %[1]s | sed -n '/"%s"/s/.*handle //p')`, chain, r.mark)
}

// deleteRules deletes the rules of a step. They may never have been written, and their
// chain may be gone.
func (s insertedStep) deleteRules(ctx context.Context) error {
	var errs []error
	for _, r := range s.Rules {
		errs = append(errs, r.deleteRule(ctx))
	}
	return errors.Join(errs...)
}

// deleteRule deletes only rules with a mark of snatlab's: the journal decides which rules
// root deletes.
func (p insertedPlace) deleteRule(ctx context.Context) error {
	switch {
	case !markForm.MatchString(p.Mark):
		return fmt.Errorf("%q is not the mark of a rule of snatlab's; its step is not undone", p.Mark)
	case p.Path != "":
		return p.deleteLegacy(ctx)
	case p.Family != unix.NFPROTO_IPV4 && p.Family != unix.NFPROTO_INET:
		return fmt.Errorf("snatlab writes no rules in tables of family %d; its step is not undone", p.Family)
	}
	return nftables.DeleteCommented(ctx, nftables.Table{Family: p.Family, Name: p.Table}, p.Chain, p.Mark)
}

// Undoers returns the undoers of the steps that this package journals.
func Undoers() undo.Undoers {
	return undo.Undoers{
		insertedKind: undo.NewUndoer(func(ctx context.Context, s insertedStep) error { return s.deleteRules(ctx) }),
		frontKind:    undo.NewUndoer(func(ctx context.Context, s frontStep) error { return s.deleteTable(ctx) }),
	}
}
