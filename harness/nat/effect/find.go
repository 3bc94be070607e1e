package effect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/nat/nftables"
	"snatlab/harness/undo"
)

// Numbers of connections that a client opens: twice while the counters of the rules are
// watched, and once between rules that only count. Other traffic will hardly move a counter
// by as many each time.
var (
	watched = []int{3, 5}
	metered = 4
)

// NoRuleError reports that no rule translates the connections of a client, as far as
// counters show.
type NoRuleError struct {
	Client int
	From   netip.Addr
	To     netip.Prefix // of the server
	Sent   int
	Looked []Rule   // that were looked at
	Unread []string // places that may hold more rules
}

func (e *NoRuleError) Error() string {
	looked := "no rule translates source addresses on this node"
	if len(e.Looked) > 0 {
		var texts []string
		for _, r := range e.Looked[:min(len(e.Looked), maxNamed)] {
			texts = append(texts, r.String())
		}
		if more := len(e.Looked) - len(texts); more > 0 {
			texts = append(texts, fmt.Sprintf("%d more", more))
		}
		looked = "looked at " + strings.Join(texts, "; ")
	}
	if len(e.Unread) > 0 {
		looked += "; not seen: " + strings.Join(e.Unread, "; ")
	}
	return fmt.Sprintf("no rule of iptables or nftables translates the connections of client %d, %v, to %v: %s were sent, and no counter moved by as many "+
		"(are they translated in eBPF or by IPVS, or routed without a translation? %s)", e.Client, e.From, nftables.FormatNetwork(e.To), format.Plural(e.Sent, "connection", "connections"), looked)
}

// maxNamed bounds how many rules an error names.
const maxNamed = 8

// Find returns the rules that translate the connections. For each client it sends some
// connections, and takes the rule whose counter moved by as many. Where the counters leave
// that open, because a rule has none or other traffic moves several, rules of snatlab's
// own that only count stand before and behind these rules for the time of the search.
// They are steps of the journal. If nothing translates, the error is a [NoRuleError].
func Find(ctx context.Context, journal *undo.Journal, c Connections) (*Rules, error) {
	r := &Rules{Server: c.Server, UDP: c.UDP}
	for client, address := range c.Clients {
		if !address.Is4() {
			return nil, fmt.Errorf("client %d has the address %v: only IPv4 is supported", client, address)
		}
		rule, err := findOne(ctx, journal, c, client)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(r.Found, func(f Found) bool { return f.Rule.isSame(rule) })
		if at < 0 {
			rule.printText(ctx)
			at, r.Found = len(r.Found), append(r.Found, Found{Rule: rule})
		}
		f := &r.Found[at]
		f.Clients = append(f.Clients, client)
		var sources []netip.Addr
		for _, i := range f.Clients {
			sources = append(sources, c.Clients[i])
		}
		f.Source = commonPrefix(sources)
	}
	if len(r.Found) == 0 {
		return nil, errors.New("find the rule of the clients: there are no clients")
	}
	if err := r.checkApart(c.Clients); err != nil {
		return r, err
	}
	return r, r.makeFront(ctx, journal)
}

// checkApart returns an error if the clients of one rule cannot be told by a network from
// those of another one.
func (r *Rules) checkApart(clients []netip.Addr) error {
	for _, f := range r.Found {
		for i, a := range clients {
			if f.Source.Contains(a) && !slices.Contains(f.Clients, i) {
				return fmt.Errorf("the connections of the clients pass several rules, and client %d, %v, is in %v like those of another rule, %v", i, a, f.Source, f.Rule)
			}
		}
	}
	return nil
}

// findOne returns the rule that translates the connections of one client.
func findOne(ctx context.Context, journal *undo.Journal, c Connections, client int) (Rule, error) {
	none := &NoRuleError{Client: client, From: c.Clients[client], To: c.Server}
	var left []Rule // may be it
	for _, n := range watched {
		before, unread, err := List(ctx)
		if err != nil {
			return Rule{}, err
		}
		if err := c.Send(ctx, client, n); err != nil {
			return Rule{}, fmt.Errorf("send connections of client %d: %w", client, err)
		}
		after, _, err := List(ctx)
		if err != nil {
			return Rule{}, err
		}
		moved := movedBy(before, after, n)
		if none.Sent == 0 {
			left = moved
		} else {
			left = slices.DeleteFunc(left, func(r Rule) bool { return !slices.ContainsFunc(moved, r.isSame) })
		}
		none.Sent, none.Looked, none.Unread = none.Sent+n, after, unread
	}
	left = slices.DeleteFunc(left, func(r Rule) bool { return r.isForOthers(c.Clients[client]) })
	if len(left) == 1 && (left[0].Packets != nil || left[0].isPodmans()) {
		return left[0], nil
	}
	if len(left) == 0 {
		return Rule{}, none
	}
	return meter(ctx, journal, c, client, left, none)
}

// movedBy returns the rules whose counters moved by n or more, and those without one.
func movedBy(before, after []Rule, n int) (moved []Rule) {
	for _, r := range after {
		at := slices.IndexFunc(before, r.isSame)
		if at < 0 {
			continue // written anew meanwhile
		}
		was := before[at].Packets
		if r.Packets == nil || was == nil || *r.Packets >= *was+uint64(n) {
			moved = append(moved, r)
		}
	}
	return moved
}

// meter finds the rule by counting the packets that arrive at each one and those that it
// lets pass.
func meter(ctx context.Context, journal *undo.Journal, c Connections, client int, rules []Rule, none *NoRuleError) (_ Rule, err error) {
	trial := &Rules{Server: c.Server}
	for _, r := range rules {
		if r.at.legacy != nil || r.isPodmans() {
			continue // has a counter, or has no rules of snatlab's beside it
		}
		trial.Found = append(trial.Found, Found{Rule: r, Source: netip.PrefixFrom(c.Clients[client], 32)})
	}
	var before, behind []ownRule
	for n := range trial.Found {
		b, p := trial.newOwn(journal, countRole, n), trial.newOwn(journal, pastRole, n)
		b.Counts, p.Counts, p.after = true, true, true
		before, behind = append(before, b), append(behind, p)
	}
	if len(before) == 0 {
		return Rule{}, ambiguousError(client, rules)
	}
	entry, err := insertRules(ctx, journal, append(before, behind...))
	defer func() { err = errors.Join(err, journal.Undo(undo.Context(ctx), entry)) }()
	if err != nil {
		return Rule{}, fmt.Errorf("count beside the rules that translate: %w", err)
	}
	n := metered
	if err := c.Send(ctx, client, n); err != nil {
		return Rule{}, fmt.Errorf("send connections of client %d: %w", client, err)
	}
	now, err := trial.look(ctx)
	if err != nil {
		return Rule{}, err
	}
	none.Sent += n
	for i := range before {
		arrived, passed := now.own[before[i].key()].packets, now.own[behind[i].key()].packets
		if arrived-passed == uint64(n) {
			return trial.Found[i].Rule, nil
		}
	}
	if at := slices.IndexFunc(rules, Rule.isPodmans); at >= 0 && len(before)+1 == len(rules) {
		return rules[at], nil // no other one is left
	}
	if len(before) < len(rules) {
		return Rule{}, ambiguousError(client, rules)
	}
	return Rule{}, none
}

func ambiguousError(client int, rules []Rule) error {
	var texts []string
	for _, r := range rules {
		texts = append(texts, r.String())
	}
	return fmt.Errorf("it cannot be decided which rule translates the connections of client %d: the counters of several moved by as many or more (%s)",
		client, strings.Join(texts, "; "))
}
