package main

import (
	"context"
	"errors"
	"net/netip"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness"
	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/lab/docker"
	"snatlab/harness/lab/netns"
	"snatlab/harness/machine"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// BenchmarkRun prints where the time of a run goes, in seconds of each part: setting up,
// rules, the load, waiting with no load, deleting conntrack entries, tearing down. The
// race is in it as well: lost connections for each second of load, and the median share
// of pairs lost. All parts together are the time to a verdict. With -short each trial is a
// tenth as long.
func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"quickstart", "docker-masquerade"} {
		s, err := scenario.Read(filepath.Join("..", "..", "scenarios", name+".yaml"))
		if err != nil {
			b.Fatal(err)
		}
		if testing.Short() {
			s.Load.Requests /= 10
		}
		b.Run(name, func(b *testing.B) {
			var parts timedParts
			var hits, load float64
			var lost []float64
			for b.Loop() {
				r := parts.timeRun(b, s)
				lost = append(lost, sharesLost(r)...)
				h, l := countHits(r)
				hits, load = hits+h, load+l
			}
			runs := float64(b.N)
			b.ReportMetric(hits/load, "hits/load-s")
			b.ReportMetric(100*median(lost), "%-of-pairs-lost")
			for part, spent := range parts {
				b.ReportMetric(spent.Seconds()/runs, timedNames[part]+"-s")
			}
		})
	}
}

// The parts of a run's time. What is in none of them is the rest.
const (
	setUpTime = iota
	rulesTime
	loadTime
	waitTime
	forgetTime
	tearDownTime
	restTime
	numParts
)

var timedNames = [numParts]string{"1-set-up", "2-rules", "3-load", "4-waiting", "5-deleting", "6-tear-down", "7-rest"}

type timedParts [numParts]time.Duration

func (p *timedParts) add(part int, begun time.Time) { p[part] += time.Since(begun) }

// timeRun makes one run in a lab of its driver, and adds its times.
func (p *timedParts) timeRun(b *testing.B, s *scenario.Scenario) *result.Result {
	open := openNetns
	if s.Driver == result.DriverDocker {
		open = openDocker
	}
	return p.timeRunIn(b, s, open)
}

// openLab opens a lab for a benchmark.
type openLab func(context.Context, *testing.B, *scenario.Scenario) (lab.Lab, error)

// timeRunIn makes one run in the lab that open opens, and adds its times.
func (p *timedParts) timeRunIn(b *testing.B, s *scenario.Scenario, open openLab) *result.Result {
	ctx, stop := signal.NotifyContext(b.Context(), unix.SIGINT, unix.SIGTERM) // a lab must not be left behind
	defer stop()
	before, begun := *p, time.Now()
	r, err := harness.Run(ctx, s, func(ctx context.Context) (lab.Lab, error) {
		defer p.add(setUpTime, begun)
		l, err := open(ctx, b, s)
		return &timedLab{Lab: l, parts: p}, err
	}, unwatched{}, harness.RunOptions{ID: resultfile.NewRunID(time.Now())})
	if err != nil {
		b.Fatal(err)
	}
	for _, arm := range r.Arms {
		for _, t := range arm.Trials {
			p[loadTime] += time.Duration(t.Seconds * float64(time.Second))
		}
	}
	rest := time.Since(begun)
	for part := range restTime {
		rest -= p[part] - before[part]
	}
	p[restTime] += rest
	return r
}

// countHits returns the connections of a run that were lost to the race, those of the
// control included, and the seconds of load that it took.
func countHits(r *result.Result) (hits, load float64) {
	for _, arm := range r.Arms {
		for _, t := range arm.Trials {
			hits, load = hits+float64(t.Causes[result.SNATRace]), load+t.Seconds
			if t.Control != nil {
				hits += float64(t.Control.Causes[result.SNATRace])
			}
		}
	}
	return hits, load
}

func openNetns(ctx context.Context, _ *testing.B, s *scenario.Scenario) (lab.Lab, error) {
	return netns.Open(ctx, netns.Config{Clients: s.Clients, NAT: s.NAT, Binary: binary, Control: s.HasControl(), Widen: idleRules(s)})
}

func openDocker(ctx context.Context, b *testing.B, s *scenario.Scenario) (lab.Lab, error) {
	host, found := docker.Preflight(ctx, binary, result.IPv4, 0)
	b.Cleanup(func() { host.Close() })
	if err := machine.RequireMet(found); err != nil {
		b.Skip(err)
	}
	lock, err := undo.TakeLock(undo.Dir, "benchmark")
	if err != nil {
		return nil, err
	}
	run := resultfile.NewRunID(time.Now())
	journal, err := undo.CreateJournal(undo.Dir, run, allUndoers())
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	l, err := docker.Open(ctx, host, docker.Config{Run: run, Clients: s.Clients, Arms: s.Arms, Binary: binary, Control: s.HasControl(), Widen: idleRules(s), Journal: journal})
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return &lockedLab{l, lock}, nil
}

// lockedLab is a lab that holds the host's lock until it is closed.
type lockedLab struct {
	lab.Lab
	lock *undo.Lock
}

func (l *lockedLab) Close(ctx context.Context) error {
	return errors.Join(l.Lab.Close(ctx), l.lock.Release())
}

// unwatched watches nothing.
type unwatched struct{}

func (unwatched) Start(result.Progress)               {}
func (unwatched) Done(result.Progress, *result.Trial) {}

// timedLab measures the calls of a lab.
type timedLab struct {
	lab.Lab
	parts   *timedParts
	looked  time.Time // the end of the last call, if it was Conntrack
	loading bool      // both rules are read before the load of a trial and after it
}

func (l *timedLab) Apply(ctx context.Context, arm scenario.Arm) (lab.ArmRule, error) {
	defer l.parts.add(rulesTime, time.Now())
	r, err := l.Lab.Apply(ctx, arm)
	return &timedRule{r, l}, err
}

// Conntrack counts as waiting the time between two calls of it with nothing in between,
// unless that is part of the load.
func (l *timedLab) Conntrack(ctx context.Context) (conntrack.Snapshot, error) {
	if !l.looked.IsZero() && !l.loading {
		l.parts.add(waitTime, l.looked)
	}
	defer func() { l.looked = time.Now() }()
	return l.Lab.Conntrack(ctx)
}

func (l *timedLab) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	defer l.parts.add(forgetTime, time.Now())
	return l.Lab.Forget(ctx, server, ports)
}

func (l *timedLab) Close(ctx context.Context) error {
	defer l.parts.add(tearDownTime, time.Now())
	return l.Lab.Close(ctx)
}

// timedRule measures the calls of a rule.
type timedRule struct {
	appliedRule
	lab *timedLab
}

type appliedRule = lab.ArmRule // a field cannot have the name of its method Rule

func (r *timedRule) Packets(ctx context.Context) (uint64, error) {
	r.lab.looked = time.Time{}
	defer r.lab.parts.add(rulesTime, time.Now())
	return r.appliedRule.Packets(ctx)
}

func (r *timedRule) BothPackets(ctx context.Context) (own, control uint64, err error) {
	r.lab.looked, r.lab.loading = time.Time{}, !r.lab.loading
	defer r.lab.parts.add(rulesTime, time.Now())
	return r.appliedRule.BothPackets(ctx)
}

func (r *timedRule) Counters(ctx context.Context) lab.RuleCounters {
	r.lab.looked = time.Time{}
	defer r.lab.parts.add(rulesTime, time.Now())
	return r.appliedRule.Counters(ctx)
}

func (r *timedRule) Undo(ctx context.Context) error {
	r.lab.looked = time.Time{}
	defer r.lab.parts.add(rulesTime, time.Now())
	return r.appliedRule.Undo(ctx)
}
