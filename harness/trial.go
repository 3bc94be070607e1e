package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"snatlab/harness/causes"
	"snatlab/harness/conntrack"
	"snatlab/harness/departures"
	"snatlab/harness/format"
	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
	"snatlab/harness/wording"
)

// An experiment is a run in its lab.
type experiment struct {
	*scenario.Scenario
	lab     lab.Lab
	result  *result.Result
	explain bool
	trials  int // run so far, the path check included
	clock   bool

	// mostRequests are those of each client in the largest trial of the run. Before the
	// clients are prepared they may be more than their ports allow. 0: those of the scenario.
	mostRequests int

	ports    scenario.PortRange // lockstep: that the clients leave from in the arm's slots
	reopened scenario.PortRange // of second sockets, with resolver single-request-reopen
	control  control            // lockstep: zero without one
	left     departures.Trial   // of the trial that was made last
	silent   *instant           // since when the lab sends nothing; nil before the first load
}

const (
	// headStart is the time from the order to fire until the first slot, for
	// clients that keep step by the clock.
	headStart = 200 * time.Millisecond

	// pathTimeout is that of the path check's requests.
	pathTimeout = 900 * time.Millisecond

	// expiry bounds the wait for entries of earlier trials to leave a full
	// conntrack table: a reset connection stays in it for 10 s.
	expiry = 30 * time.Second
)

// prepareClients chooses the clients' source ports, checks the path and settles how
// the clients keep in step.
func (x *experiment) prepareClients(ctx context.Context) error {
	if x.Load.Pattern == result.DNS {
		if err := x.prepareLookups(); err != nil {
			return err
		}
	}
	if !result.InLockstep(x.Load.Pattern) {
		x.mostRequests = x.Load.Requests
	} else if err := x.choosePorts(ctx); err != nil {
		return err
	}
	if err := errors.Join(x.checkAccepted(), x.holdConnections()); err != nil {
		return err
	}
	if err := x.checkPath(ctx); err != nil {
		return fmt.Errorf("path check: %w", err)
	}
	if !result.InLockstep(x.Load.Pattern) {
		x.result.Scenario.Sync = result.SyncNone
		return nil
	}
	x.clock = x.Load.Sync == result.SyncClock
	if x.clock {
		return nil
	}
	for _, c := range x.lab.Clients() {
		if err := c.Share(ctx, x.lab.Barrier()); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			x.clock, x.result.Scenario.Sync = true, result.SyncClock
			x.addWarning(result.Warning{Code: result.NoSharedMemory, Cause: err.Error()})
			return nil
		}
	}
	return nil
}

// checkPath sends one request per client and checks that all of them arrive, and
// that the masquerade rule matched them. It does the same for the control.
func (x *experiment) checkPath(ctx context.Context) (err error) {
	rule, err := x.lab.Apply(ctx, scenario.Arm{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rule.Undo(undo.Context(ctx))) }()
	at, err := x.lab.Listen(ctx, x.nextTrial(), false)
	if err != nil {
		return err
	}
	if err := x.checkRule(ctx, path{at.Arm, x.ports, rule.Rule(), rule.Packets, rule}); err != nil {
		return err
	}
	if x.control.exists() {
		if err := x.checkRule(ctx, path{at.Control, x.control.ports, x.lab.ControlRule(), x.lab.ControlPackets, rule}); err != nil {
			return fmt.Errorf("control: %w", err)
		}
	}
	_, err = x.lab.Finish(ctx)
	return err
}

// path is the way of connections to a server through a rule.
type path struct {
	server  netip.AddrPort
	ports   scenario.PortRange // source ports; zero: the kernel chooses
	rule    string
	packets func(context.Context) (uint64, error)
	others  lab.ArmRule // knows the counters of rules that may take them instead
}

// portsFrom returns the ports without those of the clients before. A client that had the
// same port would be given another one, which a filter before the server may drop.
func (p path) portsFrom(client int) scenario.PortRange {
	return scenario.PortRange{First: p.ports.First + uint16(client%p.ports.Len()), Last: p.ports.Last}
}

// checkRule sends one request of each client on a path, one after the other, so that
// they do not race.
func (x *experiment) checkRule(ctx context.Context, p path) error {
	others := p.others.Counters(ctx)
	before, err := p.packets(ctx)
	if err != nil {
		return err
	}
	arrived, n := 0, len(x.lab.Clients())
	var ports [][]scenario.PortRange
	failures := map[string]int{}
	for i, c := range x.lab.Clients() {
		load := probe.ClientLoad{Server: p.server, Protocol: x.Load.Protocol, Requests: 1, Timeout: pathTimeout, Concurrency: 1, Lookups: x.newLookups("")}
		if p.ports.Valid() { // in step with nobody
			load.Lockstep = &probe.LockstepPart{Clients: 1, CPUs: 1, Ports: p.portsFrom(i)}
		}
		report, err := c.Run(ctx, load)
		if err != nil {
			return err
		}
		arrived += report.Succeeded
		ports = append(ports, report.Ports)
		for kind, n := range report.Failures {
			failures[kind] += n
		}
	}
	if err := x.lab.Forget(ctx, p.server, ports); err != nil {
		return err
	}
	after, err := p.packets(ctx)
	if err != nil {
		return err
	}
	matched, err := countMatches(p.rule, before, after)
	switch {
	case err != nil:
		return err
	case matched < uint64(n):
		return fmt.Errorf("expected %s to %v to pass the rule %q: it matched %d of them, and %d reached the server; %s",
			format.Plural(n, "connection", "connections"), p.server, p.rule, matched, arrived, describeTakers(others, p.others.Counters(ctx), uint64(n)-matched))
	case arrived < n:
		return fmt.Errorf("expected %s to %v to open: %d did, though the rule %q matched all of them; the others were lost after it, or their answers were: %v "+
			"(check the server and its firewall, and for the answers the chains FORWARD and DOCKER-USER)",
			format.Plural(n, "connection", "connections"), p.server, arrived, p.rule, failures)
	}
	return nil
}

// nextTrial returns the number of the next trial, which its server port depends on.
func (x *experiment) nextTrial() int {
	x.trials++
	return x.trials - 1
}

// runTrial applies an arm, has each client send so many requests, and undoes the arm.
func (x *experiment) runTrial(ctx context.Context, arm scenario.Arm, into *result.Arm, requests int) (t *result.Trial, err error) {
	rule, err := x.lab.Apply(ctx, arm)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rule.Undo(undo.Context(ctx))) }()
	into.Rule, into.SettingValues, into.Settings = rule.Rule(), rule.Settings(), wording.DescribeSettings(rule.Settings())
	if d, ok := rule.(lab.PortDrawer); ok && d.DrawsPorts() && !into.DrawsPorts() {
		into.Options.RandomFully = true // the rule of somebody else has it
	}

	if err := x.awaitRoom(ctx, requests); err != nil {
		return nil, err
	}
	others := rule.Counters(ctx)
	trial := x.nextTrial()
	at, err := x.lab.Listen(ctx, trial, x.swapsPorts(len(into.Trials)))
	if err != nil {
		return nil, err
	}
	address := at.Arm
	x.control.server = at.Control
	m, err := x.measureLoad(ctx, rule, func(start trialStart) (sentLoad, error) {
		return x.sendLoad(ctx, arm, address, trial, requests, start)
	})
	if err != nil {
		return nil, err
	}
	served, err := x.lab.Finish(ctx)
	if err != nil {
		return nil, err
	}
	x.control.keepDelays(m.reports)
	t = x.sumReports(m.reports)
	t.Port, t.Seconds, t.EndedEarly, t.Foreign, t.Server = int(address.Port()), m.seconds, m.endedEarly, m.foreign, served.Server
	t.Start = m.before.at.Sub(x.result.Started).Round(time.Millisecond).Seconds()
	if t.Control != nil {
		t.Control.Accepted = served.ControlAccepted
	}
	recordFiltered(t, served.Filtered)
	if t.Conntrack, err = conntrack.Delta(m.before.counters, m.after.counters); err != nil {
		return nil, err
	}
	if err := x.countPackets(t, arm, rule, m); err != nil {
		return nil, err
	}
	c := causes.Circumstances{Pools: causes.PortPools(arm, x.Clients), Max: m.after.counters.Max, Evicts: causes.EvictsClosedEntries(x.result.Environment.Kernel)}
	causes.Find(t, c)
	if causes.IsGuess(t, c) && x.entriesTell() {
		if err := x.countGone(ctx, address, m.reports, &c); err != nil {
			return nil, err
		}
		causes.Find(t, c)
	}
	t.NoHits = hitsNothing(t)
	if x.explain && x.entriesTell() {
		if t.Evidence, err = x.lookUp(ctx, address, m.reports, causes.ArmInsertions(t)); err != nil {
			return nil, err
		}
	}
	if err := x.forgetEntries(ctx, address, m.reports); err != nil {
		return nil, err
	}
	x.left = departures.Trial{Reports: m.reports, Served: served}
	err = causes.Check(t, rule.Rule(), x.lab.ControlRule())
	if missed, ok := errors.AsType[*causes.MissedError](err); ok {
		err = fmt.Errorf("%w; %s", err, describeTakers(others, rule.Counters(ctx), missed.Sent-missed.Matched))
	}
	return t, err
}

// recordFiltered records what a filter before the server dropped.
func recordFiltered(t *result.Trial, n *probe.Filtered) {
	if n == nil {
		return
	}
	t.Filtered = &n.Arm
	if t.Control != nil {
		t.Control.Filtered = &n.Control
	}
}

// forgetEntries deletes the entries that a trial left in the conntrack table. NAT
// first reuses the last mapping of a client's address and port, whatever the
// destination (find_appropriate_src in net/netfilter/nf_nat_core.c). After one trial
// with random ports, the same clients would keep those ports in all later trials,
// and never meet.
func (x *experiment) forgetEntries(ctx context.Context, server netip.AddrPort, reports []*probe.Report) error {
	var ports, control [][]scenario.PortRange
	for _, r := range reports {
		ports = append(ports, r.Ports)
		if r.Control != nil {
			control = append(control, r.Control.Ports)
		}
	}
	err := x.lab.Forget(ctx, server, ports)
	if x.control.exists() {
		err = errors.Join(err, x.lab.Forget(ctx, x.control.server, control))
	}
	return err
}

// countPackets records what the rule of the arm and that of the control matched, and of an
// arm with several ranges of ports what the rule of each range matched.
func (x *experiment) countPackets(t *result.Trial, arm scenario.Arm, rule lab.ArmRule, m measurement) (err error) {
	if len(arm.SNAT.ToPorts) > 1 && len(m.before.parts) == len(arm.SNAT.ToPorts) {
		for i, before := range m.before.parts {
			n, err := countMatches(rule.Rule(), before, m.after.parts[i])
			if err != nil {
				return err
			}
			t.RangePackets = append(t.RangePackets, n)
		}
	}
	if t.RulePackets, err = countMatches(rule.Rule(), m.before.packets, m.after.packets); err == nil && t.Control != nil {
		t.Control.RulePackets, err = countMatches(x.lab.ControlRule(), m.before.control, m.after.control)
	}
	return err
}

// countMatches returns the number of packets that a rule matched between two
// readings. A counter that went back belongs to another rule of the same text.
func countMatches(rule string, before, after uint64) (uint64, error) {
	if after < before {
		return 0, fmt.Errorf("the rule %q was replaced meanwhile: its counter went from %d to %d", rule, before, after)
	}
	return after - before, nil
}

// awaitRoom waits until the conntrack table has room for a trial of so many requests of
// each client, and for its control. A full table drops packets, which looks like the
// race.
func (x *experiment) awaitRoom(ctx context.Context, requests int) error {
	want := x.countEntries(requests)
	for begun := time.Now(); ; {
		s, err := x.lab.Conntrack(ctx)
		if err != nil {
			return err
		}
		crowded := lab.CheckRoom(s, want, x.lab.Shared())
		if crowded == "" {
			return nil
		}
		if time.Since(begun) > expiry {
			return fmt.Errorf("the conntrack table has %s (raise net.netfilter.nf_conntrack_max, or send fewer requests)", crowded)
		}
		// The kernel does not announce expiry, so the table has to be read again.
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sentLoad is what became of a load.
type sentLoad struct {
	reports    []*probe.Report
	endedEarly bool // the clients were told to wait no longer
}

// sendLoad lets all clients send their load at once. The first client that fails
// ends the wait for the others, which would only report that it is missing.
func (x *experiment) sendLoad(ctx context.Context, arm scenario.Arm, server netip.AddrPort, trial, requests int, begin trialStart) (sentLoad, error) {
	clients := x.lab.Clients()
	sent := sentLoad{reports: make([]*probe.Report, len(clients))}
	start, err := x.firstSlot(ctx)
	if err != nil {
		return sent, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	waiting, end, reported := newUnanswered(len(clients)), make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	for i, c := range clients {
		load := x.newLoad(arm, server, requests)
		if result.InLockstep(x.Load.Pattern) {
			load.Lockstep = x.newLockstep(i, trial, start)
			if arm.ClientPorts == result.SplitPorts {
				load.Lockstep.Ports, load.Lockstep.Own = x.ownPorts(i), true
			}
		}
		wait.Go(func() {
			r, err := c.RunUntil(ctx, load, end, func(w probe.Waiting) { waiting.set(i, w.Arm+w.Control, false) })
			if err != nil {
				fail(err)
				return
			}
			sent.reports[i] = r
			waiting.set(i, countTimeouts(r), true)
		})
	}
	go func() {
		wait.Wait()
		close(reported)
	}()
	if sent.endedEarly = x.awaitDrops(ctx, begin, waiting, reported); sent.endedEarly {
		close(end)
	}
	<-reported
	return sent, context.Cause(ctx)
}

// firstSlot returns the time of the first slot by the clock of the clients, or 0 if they
// meet at a barrier. Orders to clients on another machine take as long as the question
// about their clock.
func (x *experiment) firstSlot(ctx context.Context) (int64, error) {
	if !x.clock {
		return 0, nil
	}
	asked := time.Now()
	now, err := x.lab.MonotonicTime(ctx)
	return now + int64(headStart+2*time.Since(asked)), err
}

func (x *experiment) newLoad(arm scenario.Arm, server netip.AddrPort, requests int) probe.ClientLoad {
	return probe.ClientLoad{
		Server: server, Protocol: x.Load.Protocol, Requests: requests, Timeout: x.Load.Timeout,
		Rate: int(x.Load.Rate), Concurrency: x.Load.Concurrency, Hold: x.Load.Hold, Close: x.Load.Close, Explain: x.explain || x.control.exists(), Announce: true, Lookups: x.newLookups(arm.Resolver),
	}
}

func (x *experiment) newLockstep(client, trial int, start int64) *probe.LockstepPart {
	l := &probe.LockstepPart{
		Client: client, Clients: x.Clients, CPUs: x.clientCPUs(), Ports: x.ports,
		Barrier: x.lab.Barrier(), Epoch: uint64(trial), Start: start,
		Control: x.control.partOf(client),
	}
	if x.clock {
		l.Barrier = ""
	}
	return l
}

// clientCPUs returns the number of clients that can fire in one slot, each on a CPU
// of its own.
func (x *experiment) clientCPUs() int {
	n := x.Clients
	for _, c := range x.lab.Clients() {
		n = min(n, len(c.Hello.CPUs)/max(1, x.Load.Threads))
	}
	return n
}

// sumReports returns a trial with the sums of the clients' reports, of the arm and of
// the control.
func (x *experiment) sumReports(reports []*probe.Report) *result.Trial {
	var outcomes []*probe.Outcome
	for _, r := range reports {
		outcomes = append(outcomes, &r.Outcome)
	}
	sum := sumOutcomes(outcomes)
	t := &result.Trial{Requests: sum.requests, Failed: sum.failed, SourcePorts: sum.ports, Failures: sum.failures, Latency: sum.latency}
	for _, r := range reports {
		t.MostOpen += r.MostOpen
		t.Slots.BindErrors += r.BindErrors
		t.Slots.Missed += r.Missed
		t.Slots.MadeUp += r.MadeUp
		x.result.Memory.Client = max(x.result.Memory.Client, r.PeakRSS)
	}
	t.Datagrams, t.Unanswered = sumDatagrams(reports), sum.unanswered
	x.recordControl(t, reports)
	return t
}

// sumDatagrams returns the datagrams of all clients; nil with TCP.
func sumDatagrams(reports []*probe.Report) (sum *result.Datagrams) {
	for _, r := range reports {
		if d := r.Datagrams; d != nil {
			sum = cmp.Or(sum, &result.Datagrams{})
			sum.Foreign += d.Foreign
			sum.Late += *cmp.Or(d.Late, new(uint64))
		}
	}
	return sum
}

// outcomeSum is the outcome of the requests of all clients.
type outcomeSum struct {
	requests, failed, ports int
	failures                map[string]int
	latency                 result.Latency
	unanswered              *result.Unanswered
}

func sumOutcomes(outcomes []*probe.Outcome) outcomeSum {
	sum := outcomeSum{failures: map[string]int{}, latency: probe.MergeLatencies(outcomes...)}
	for _, o := range outcomes {
		sum.requests += o.Requests
		sum.failed += o.Requests - o.Succeeded
		sum.ports += probe.CountPorts(o.Ports)
		for kind, n := range o.Failures {
			sum.failures[kind] += n
		}
		if o.Unanswered != nil {
			sum.unanswered = cmp.Or(sum.unanswered, &result.Unanswered{})
			sum.unanswered.Add(*o.Unanswered)
		}
	}
	return sum
}
