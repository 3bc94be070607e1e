// Package watch follows the conntrack counters of a network namespace, the rules that
// translate there, and the destinations with the most entries. It says what a rising
// counter means, as values: package wording has the sentences, package live the screen.
//
// Nothing on the machine is changed, and no module is loaded. The counters are a file
// that everybody may read. Rules and entries need privilege; without it they are missing
// from a [result.Watch], which says so.
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
	"snatlab/harness/result"
)

const (
	topDestinations = 20
	leastPause      = 2 * time.Second // between two listings
)

// Run reads the counters at each interval, and calls show with what they are, until ctx
// ends or show fails.
func Run(ctx context.Context, s *Source, interval time.Duration, show func(*result.Watch) error) error {
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
func Once(ctx context.Context, s *Source, interval time.Duration) (*result.Watch, error) {
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
func Interpret(text string) (*result.Watch, error) {
	all, err := conntrack.ParseText(text)
	if err != nil {
		return nil, err
	}
	var t Tracker
	first, last := all[0], all[len(all)-1]
	w := newWatch(result.WatchTarget{Kind: result.WatchText})
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

func newWatch(of result.WatchTarget) *result.Watch {
	return &result.Watch{Schema: result.WatchSchema, Of: of}
}

// watcher watches one namespace.
type watcher struct {
	source       *Source
	tracker      Tracker
	limit        *uint64
	rules        listing[*result.WatchRules]
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
func (w *watcher) compose() *result.Watch {
	of := newWatch(w.source.Target)
	of.Of.Kernel, of.Max = KernelRelease(), w.limit
	w.tracker.fill(of)
	w.addListings(of)
	of.Meanings = Explain(of)
	return of
}

func (w *watcher) addListings(of *result.Watch) {
	if w.source.enter == nil {
		for _, part := range []result.WatchPart{result.PartMax, result.PartRules, result.PartDestinations} {
			of.Missing = append(of.Missing, result.WatchMissing{Part: part, Cause: w.source.denied.Error(), Denied: true})
		}
		return
	}
	if of.Max == nil {
		of.Missing = append(of.Missing, result.WatchMissing{Part: result.PartMax, Cause: "there is no file " + maxName})
	}
	switch l := w.rules.read(); {
	case l.at.IsZero():
	case l.err != nil:
		of.Missing = append(of.Missing, missing(result.PartRules, l.err))
	default:
		rules := *l.value
		rules.Age = max(0, of.Time.Sub(l.at).Seconds())
		of.Rules = &rules
	}
	switch l := w.destinations.read(); {
	case l.at.IsZero():
	case l.err != nil:
		of.Missing = append(of.Missing, missing(result.PartDestinations, l.err))
	default:
		of.Destinations = describeDestinations(l.value, of.Time.Sub(l.at), l.took)
	}
}

func missing(part result.WatchPart, err error) result.WatchMissing {
	return result.WatchMissing{Part: part, Cause: err.Error(), Denied: errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)}
}

func listDestinations(ctx context.Context) (conntrack.Destinations, error) {
	const module = "nf_conntrack_netlink"
	if !isLoaded(module) {
		return conntrack.Destinations{}, fmt.Errorf("the module %[1]s is not loaded (modprobe %[1]s)", module)
	}
	return conntrack.CountDestinations(ctx, topDestinations)
}

func describeDestinations(d conntrack.Destinations, age, took time.Duration) *result.WatchDestinations {
	w := &result.WatchDestinations{Age: max(0, age.Seconds()), Took: took.Seconds(), Entries: d.Entries, AtLeast: d.AtLeast}
	for _, c := range d.Top {
		w.Top = append(w.Top, result.WatchDestination{
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

func (r *ruleReader) list(ctx context.Context) (*result.WatchRules, error) {
	listed, unread, err := nat.ListTranslating(ctx, isLoaded("nf_tables"))
	if err != nil {
		return nil, err
	}
	return r.describe(listed, unread, time.Now()), nil
}

func (r *ruleReader) describe(listed []nat.TranslatingRule, unread []string, now time.Time) *result.WatchRules {
	all := &result.WatchRules{Rules: []result.WatchRule{}, Unread: unread}
	seen := map[ruleKey]uint64{}
	for _, l := range listed {
		rule := result.WatchRule{
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
