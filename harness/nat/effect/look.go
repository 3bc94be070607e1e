package effect

import (
	"context"
	"fmt"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nftables"
)

// look is a reading of the chains in which the found rules stand.
type look struct {
	rules    *Rules
	original []uint64 // counters of the found rules, in their order; 0 without one
	position []int    // of the found rules in their chains
	own      map[ownKey]seen
}

// ownKey identifies a rule of snatlab's own.
type ownKey struct {
	table nftables.Table // zero: iptables-legacy
	chain string
	mark  string
}

func (r ownRule) key() ownKey { return ownKey{r.beside.table, r.beside.chain, r.mark} }

// seen is a rule as a reading shows it.
type seen struct {
	at      int // its position among the rules that were listed with it
	packets uint64
}

// look reads the chains of the found rules. It returns an error if one of these is gone.
func (r *Rules) look(ctx context.Context) (look, error) {
	now := look{rules: r, own: map[ownKey]seen{}}
	tables := map[nftables.Table][]nftables.PlacedRule{}
	chains := map[string][]iptables.RuleLine{} // of iptables-legacy
	for n, f := range r.Found {
		at := f.Rule.at
		var found *seen
		if p := at.legacy; p != nil {
			lines, ok := chains[at.chain]
			if !ok {
				var err error
				if lines, err = p.ListRules(ctx, iptables.NATTable, at.chain); err != nil {
					return now, err
				}
				chains[at.chain] = lines
			}
			found = now.readLines(f.Rule, lines)
		} else {
			placed, ok := tables[at.table]
			if !ok {
				var err error
				if placed, err = nftables.ListPlaced(ctx, at.table); err != nil {
					return now, err
				}
				tables[at.table] = placed
			}
			found = now.readPlaced(f.Rule, placed)
		}
		if found == nil {
			return now, r.goneError(n)
		}
		now.original, now.position = append(now.original, found.packets), append(now.position, found.at)
	}
	return now, now.readFront(ctx)
}

// readFront reads the table in which rules of snatlab's own stand before those of Podman.
func (now *look) readFront(ctx context.Context) error {
	at := now.rules.front
	if at == (place{}) {
		return nil
	}
	placed, err := nftables.ListPlaced(ctx, at.table)
	if err == nil {
		now.readPlaced(Rule{at: at}, placed)
	}
	return err
}

func (now *look) readPlaced(r Rule, placed []nftables.PlacedRule) (found *seen) {
	for i, p := range placed {
		s := seen{at: i, packets: p.Packets}
		switch {
		case p.Handle == r.at.handle && p.Chain == r.at.chain:
			found = &s
		case isOwnComment(p.Comment):
			now.own[ownKey{r.at.table, p.Chain, p.Comment}] = s
		}
	}
	return found
}

func (now *look) readLines(r Rule, lines []iptables.RuleLine) (found *seen) {
	for i, l := range lines {
		s := seen{at: i, packets: l.Packets}
		if mark := commentOf(l.Text); isOwnComment(mark) {
			now.own[ownKey{chain: r.at.chain, mark: mark}] = s
		} else if l.Text == r.Text && found == nil {
			found = &s
		}
	}
	return found
}

// sumOwn returns the sum of the counters of rules of snatlab's own.
func (now look) sumOwn(what string, rules []ownRule) (sum uint64, err error) {
	for _, r := range rules {
		s, ok := now.own[r.key()]
		if !ok {
			return 0, fmt.Errorf("%s, %q, is gone from %s: something else rewrote the rules (%s)", what, r.text(), r.beside.chain, rewriters)
		}
		sum += s.packets
	}
	return sum, nil
}

const rewriters = "a restart of their owner, a reload of the firewall?"

// goneError returns the error for a found rule that its owner or another program removed.
func (r *Rules) goneError(n int) error {
	f := r.Found[n].Rule
	return fmt.Errorf("the rule %v is gone, or was written anew: something else rewrote the rules (%s)", f, rewriters)
}

// checkOrder returns an error unless each rule of an arm stands before the found rule, and
// the control's before both.
func (now look) checkOrder(arm []ownRule) error {
	for n := range arm {
		own, ok := now.own[arm[n].key()]
		if ok && arm[n].beside != now.rules.front && own.at > now.position[n] {
			return fmt.Errorf("the rule %q stands behind the one that it stands in for: something else rewrote the rules (%s)", arm[n].text(), rewriters)
		}
		c := now.rules.control
		if c == nil || !ok {
			continue
		}
		if control, there := now.own[c.own[n].key()]; there && control.at > own.at {
			return fmt.Errorf("the rule of the control, %q, stands behind that of the arm: something else rewrote the rules (%s)", c.own[n].text(), rewriters)
		}
	}
	return nil
}
