// Package watch follows the conntrack counters of a network namespace, the rules that
// translate there, and the destinations with the most entries. It says what a rising
// counter means, as values: package wording has the sentences, package live the screen.
//
// Nothing on the machine is changed, and no module is loaded. The counters are a file
// that everybody may read. Rules and entries need privilege; without it they are missing
// from a [watched.State], which says so.
package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/conntrack"
	"snatlab/harness/nat"
	"snatlab/harness/result/watched"
)

const (
	topDestinations = 20
	leastPause      = 2 * time.Second // between two listings
)

// Run reads the counters at each interval, and calls show with what they are, until ctx
// ends or show fails.
func Run(ctx context.Context, s *Source, interval time.Duration, show func(*watched.State) error) error {
	w := newWatcher(s)
	if err := w.read(); err != nil {
		return err
	}
	if err := show(w.compose()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	if s.enter != nil {
		wait.Go(func() { w.rules.keepListing(ctx, max(leastPause, interval)) })
		wait.Go(func() { w.destinations.keepListing(ctx, max(leastPause, interval)) })
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := w.read(); err != nil {
			return err
		}
		if err := show(w.compose()); err != nil {
			return err
		}
	}
}

// Once reads the counters and the rules twice, an interval apart, so that they have
// rates, and lists the destinations.
func Once(ctx context.Context, s *Source, interval time.Duration) (*watched.State, error) {
	w := newWatcher(s)
	for i := range 2 {
		if err := w.read(); err != nil {
			return nil, err
		}
		if s.enter != nil {
			w.rules.listOnce(ctx)
		}
		if i > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(interval):
		}
	}
	if s.enter != nil {
		w.destinations.listOnce(ctx)
	}
	return w.compose(), nil
}

// Interpret returns what counters mean that another program printed: of one reading since
// the namespace exists, of several the difference between the first and the last.
func Interpret(text string) (*watched.State, error) {
	all, err := conntrack.ParseText(text)
	if err != nil {
		return nil, err
	}
	var t Tracker
	first, last := all[0], all[len(all)-1]
	w := newWatch(watched.Target{Kind: watched.Text})
	if len(all) > 1 && continues(first, last) {
		t.Add(first, unknownTime)
		w.Readings = len(all)
	}
	t.Add(last, unknownTime)
	t.fill(w)
	w.Time = time.Now()
	w.Meanings = Explain(w)
	return w, nil
}

// unknownTime is the time of a reading in a text.
var unknownTime = time.Unix(0, 0)

func newWatch(of watched.Target) *watched.State {
	return &watched.State{Schema: watched.Schema, Of: of}
}

// watcher watches one namespace.
type watcher struct {
	source       *Source
	tracker      Tracker
	limit        *uint64
	rules        listing[*watched.Rules]
	destinations listing[conntrack.Destinations]
}

func newWatcher(s *Source) *watcher {
	w := &watcher{source: s}
	w.rules.enter, w.rules.list = s.enter, (&ruleReader{}).list
	w.destinations.enter, w.destinations.list = s.enter, listDestinations
	return w
}

func (w *watcher) read() error {
	r, limit, err := w.source.read()
	if err != nil {
		return err
	}
	w.tracker.Add(r, time.Now())
	w.limit = limit
	return nil
}

// compose returns what is known now.
func (w *watcher) compose() *watched.State {
	of := newWatch(w.source.Target)
	of.Of.Kernel, of.Max = KernelRelease(), w.limit
	w.tracker.fill(of)
	w.addListings(of)
	of.Meanings = Explain(of)
	return of
}

func (w *watcher) addListings(of *watched.State) {
	if w.source.enter == nil {
		for _, part := range []watched.Part{watched.PartMax, watched.PartRules, watched.PartDestinations} {
			of.Missing = append(of.Missing, watched.Missing{Part: part, Cause: w.source.denied.Error(), Denied: true})
		}
		return
	}
	if of.Max == nil {
		of.Missing = append(of.Missing, watched.Missing{Part: watched.PartMax, Cause: "there is no file " + maxName})
	}
	switch l := w.rules.read(); {
	case l.at.IsZero():
	case l.err != nil:
		of.Missing = append(of.Missing, missing(watched.PartRules, l.err))
	default:
		rules := *l.value
		rules.Age = max(0, of.Time.Sub(l.at).Seconds())
		of.Rules = &rules
	}
	switch l := w.destinations.read(); {
	case l.at.IsZero():
	case l.err != nil:
		of.Missing = append(of.Missing, missing(watched.PartDestinations, l.err))
	default:
		of.Destinations = describeDestinations(l.value, of.Time.Sub(l.at), l.took)
	}
}

func missing(part watched.Part, err error) watched.Missing {
	return watched.Missing{Part: part, Cause: err.Error(), Denied: errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)}
}

func listDestinations(ctx context.Context) (conntrack.Destinations, error) {
	const module = "nf_conntrack_netlink"
	if !isLoaded(module) {
		return conntrack.Destinations{}, fmt.Errorf("the module %[1]s is not loaded (modprobe %[1]s)", module)
	}
	return conntrack.CountDestinations(ctx, topDestinations)
}

func describeDestinations(d conntrack.Destinations, age, took time.Duration) *watched.Destinations {
	w := &watched.Destinations{Age: max(0, age.Seconds()), Took: took.Seconds(), Entries: d.Entries, AtLeast: d.AtLeast}
	for _, c := range d.Top {
		w.Top = append(w.Top, watched.Destination{
			Protocol: protocolName(c.Protocol), To: c.To, From: c.From, Entries: c.Entries, Translated: c.Translated,
		})
	}
	return w
}

func protocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		return "icmp"
	}
	return fmt.Sprintf("proto-%d", number)
}

// ruleReader lists the translating rules, with rates from the listing before.
type ruleReader struct {
	before map[ruleKey]uint64
	at     time.Time
}

// ruleKey is a rule: equal ones in a chain are told apart by their order.
type ruleKey struct {
	program, place, text string
	nth                  int
}

func (r *ruleReader) list(ctx context.Context) (*watched.Rules, error) {
	listed, unread, err := nat.ListTranslating(ctx, isLoaded("nf_tables"))
	if err != nil {
		return nil, err
	}
	return r.describe(listed, unread, time.Now()), nil
}

func (r *ruleReader) describe(listed []nat.TranslatingRule, unread []string, now time.Time) *watched.Rules {
	all := &watched.Rules{Rules: []watched.Rule{}, Unread: unread}
	seen := map[ruleKey]uint64{}
	for _, l := range listed {
		rule := watched.Rule{
			Program: l.Program, Place: l.Place, Text: l.Text, Random: l.Options.Random || l.Options.RandomFully, Packets: l.Packets,
		}
		if l.Options.ToPorts.First != 0 {
			rule.ToPorts = l.Options.ToPorts.String()
		}
		if l.Packets != nil {
			k := ruleKey{l.Program, l.Place, l.Text, 0}
			for _, taken := seen[k]; taken; _, taken = seen[k] {
				k.nth++
			}
			seen[k] = *l.Packets
			if before, known := r.before[k]; known && *l.Packets >= before && now.After(r.at) {
				rate := float64(*l.Packets-before) / now.Sub(r.at).Seconds()
				rule.PerSecond = &rate
			}
		}
		all.Rules = append(all.Rules, rule)
	}
	r.before, r.at = seen, now
	return all
}
