package probe

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"snatlab/harness/format"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// A container or another machine may send anything, so the controller uses an answer
// only if its numbers are in range and add up. Numbers are checked against their
// bounds before they are added, so no sum overflows.

const (
	maxCPUs  = 1024    // of a unix.CPUSet
	MaxFiles = 1 << 20 // bounds the open files that a probe reports and uses

	// MaxRequests bounds the requests of all clients in a trial. scenario.MaxTrial is
	// half of it. All of them come from the ports of one address.
	MaxRequests = 1 << 16

	// maxSlots bounds the slots of each kind that a lockstep client counts, for each
	// of its requests. Package load ends a turn long before that.
	maxSlots = 200

	// maxCount bounds each counter of a server in a trial.
	maxCount = 1 << 40

	// MaxSources bounds the addresses whose connections a server counts. A scenario
	// translates to 64 at most.
	MaxSources = 256
)

// checkRole returns an error for a hello that no probe of the role sends.
func (h *Hello) checkRole(role string) error {
	switch {
	case h == nil || h.Role != role:
		return fmt.Errorf("is not a snatlab %s", role)
	case len(h.CPUs) < 1 || len(h.CPUs) > maxCPUs || h.Files < 1 || h.Files > MaxFiles:
		return fmt.Errorf("reports %s and %s", format.Plural(len(h.CPUs), "CPU", "CPUs"), format.Plural(h.Files, "file", "files"))
	case h.Ports != nil && (role != RoleServer || !h.Ports.Valid()):
		return fmt.Errorf("reports the port range %d to %d", h.Ports.First, h.Ports.Last)
	case h.LocalPorts != nil && (role != RoleClient || !h.LocalPorts.Valid()):
		return fmt.Errorf("reports a net.ipv4.ip_local_port_range of %d to %d", h.LocalPorts.First, h.LocalPorts.Last)
	}
	for i, cpu := range h.CPUs {
		if cpu < 0 || cpu >= maxCPUs || i > 0 && cpu <= h.CPUs[i-1] {
			return fmt.Errorf("reports CPU %[2]d as number %[1]d of its CPUs", i+1, cpu)
		}
	}
	return nil
}

// CheckAgainst returns an error for a report that cannot be that of the load.
func (r *Report) CheckAgainst(load ClientLoad) error {
	if r.Requests != load.Requests {
		return fmt.Errorf("report: %s sent, %d asked for", format.Plural(r.Requests, "request", "requests"), load.Requests)
	}
	if err := r.checkOutcome(load); err != nil {
		return err
	}
	if err := r.checkControl(load); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	if d := r.Datagrams; d != nil && (load.Protocol != result.UDP || d.Foreign < 0 || d.Foreign > maxCount || d.Late != nil && *d.Late > maxCount) {
		return fmt.Errorf("report: %d foreign datagrams with protocol %q", d.Foreign, load.Protocol)
	}
	most := 2 * maxSlots * r.Requests
	switch {
	case min(r.BindErrors, r.Missed, r.MadeUp) < 0, max(r.BindErrors, r.Missed, r.MadeUp) > most:
		return fmt.Errorf("report: %s without a port, %d missed and %d made up", format.Plural(r.BindErrors, "slot", "slots"), r.Missed, r.MadeUp)
	case r.Seconds < 0 || r.Seconds > 1e9 || r.PeakRSS > maxCount:
		return fmt.Errorf("report: %g seconds, %d bytes of memory", r.Seconds, r.PeakRSS)
	}
	return nil
}

// checkAgainst returns an error for an announcement that cannot be that of the load.
func (w Waiting) checkAgainst(load ClientLoad) error {
	controls := 0
	if load.Lockstep != nil && load.Lockstep.Control != nil {
		controls = load.Requests / load.Lockstep.Control.Every
	}
	if w.Arm < 0 || w.Arm > load.Requests || w.Control < 0 || w.Control > controls {
		return fmt.Errorf("waiting: %d of %s unanswered, and %d of %d of the control", w.Arm, format.Plural(load.Requests, "request", "requests"), w.Control, controls)
	}
	return nil
}

// checkOutcome returns an error if the numbers do not add up, or are not those of the
// load's requests. Requests must be known to be in range.
func (o *Outcome) checkOutcome(load ClientLoad) error {
	if err := o.checkSums(); err != nil {
		return err
	}
	ports := 1 // of a request
	if load.Lookups != nil {
		ports = 2 // a second socket has another one
	}
	if err := o.checkPorts(ports); err != nil {
		return err
	}
	switch u := o.Unanswered; {
	case (u == nil) != (load.Lookups == nil):
		return errors.New("report: queries without an answer are missing, or were not asked for")
	case u != nil && (min(u.A, u.AAAA, u.Both) < 0 || max(u.A, u.AAAA, u.Both) > o.Requests || u.Sum() != o.Failures[result.Timeout]):
		return fmt.Errorf("report: %s, but no answer to the query for A of %d, for AAAA of %d and for both of %d",
			format.Plural(o.Failures[result.Timeout], "timeout", "timeouts"), u.A, u.AAAA, u.Both)
	}
	return nil
}

// checkSums returns an error if the numbers do not add up.
func (o *Outcome) checkSums() error {
	failed, err := o.countFailures()
	if err != nil {
		return err
	}
	measured, err := o.countLatencies()
	if err != nil {
		return err
	}
	if o.Succeeded < 0 || o.Succeeded > o.Requests || o.Succeeded+failed != o.Requests || measured != o.Succeeded {
		return fmt.Errorf("report: %s, but %d succeeded, %d failed and %d with a latency",
			format.Plural(o.Requests, "request", "requests"), o.Succeeded, failed, measured)
	}
	if o.MostOpen < 0 || o.MostOpen > o.Succeeded {
		return fmt.Errorf("report: %d of %s open at one time", o.MostOpen, format.Plural(o.Succeeded, "connection", "connections"))
	}
	return nil
}

// MaxDelay bounds the delay of a client between the barrier and connect(), in ns.
const MaxDelay = int64(100e6)

// checkControl returns an error for what the report of the load cannot have of a
// control.
func (r *Report) checkControl(load ClientLoad) error {
	asked := load.Lockstep != nil && load.Lockstep.Control != nil
	if r.Control == nil && r.Phase == nil && !asked {
		return nil
	}
	if r.Control == nil || r.Phase == nil || !asked {
		return errors.New("report: it is missing, or was not asked for")
	}
	if most := load.Requests / load.Lockstep.Control.Every; r.Control.Requests < 0 || r.Control.Requests > most {
		return fmt.Errorf("report: %s sent, %d asked for", format.Plural(r.Control.Requests, "request", "requests"), most)
	}
	if err := r.Control.checkOutcome(load); err != nil {
		return err
	}
	p := r.Phase
	if len(p.Delays) > maxCPUs || p.Turns < 0 || p.Turns > load.Requests || min(p.Locked, p.Searches) < 0 || max(p.Locked, p.Searches) > p.Turns {
		return fmt.Errorf("report: %d delays, %d turns, %d of them in lock and %d searching", len(p.Delays), p.Turns, p.Locked, p.Searches)
	}
	for _, delay := range append([]int64{p.DelayLow, p.DelayHigh}, p.Delays...) {
		if delay < 0 || delay > MaxDelay {
			return fmt.Errorf("report: a delay of %d ns", delay)
		}
	}
	return nil
}

// failureKinds are the kinds of failure that a client reports.
var failureKinds = []string{result.Timeout, result.Refused, result.Reset,
	result.EADDRNOTAVAIL, result.EADDRINUSE, result.Other}

// countFailures returns the sum of the failures.
func (o *Outcome) countFailures() (failed int, err error) {
	for _, kind := range slices.Sorted(maps.Keys(o.Failures)) {
		n := o.Failures[kind]
		if !slices.Contains(failureKinds, kind) || n < 0 || n > o.Requests {
			return 0, fmt.Errorf("report: %s of kind %.60q", format.Plural(n, "failure", "failures"), kind)
		}
		failed += n // cannot overflow: the kinds are few
	}
	return failed, nil
}

// countLatencies returns how many latencies were measured. Values must ascend, and
// each must have been measured.
func (o *Outcome) countLatencies() (measured int, err error) {
	before := int64(-1)
	for _, v := range o.Latency {
		if v[0] <= before || v[0] > SlowestLatency || v[1] < 1 || v[1] > int64(o.Requests-measured) {
			return 0, fmt.Errorf("report: latency %d µs, %s", v[0], format.Plural(int(v[1]), "time", "times"))
		}
		before, measured = v[0], measured+int(v[1])
	}
	return measured, nil
}

// checkPorts checks the source ports against the requests, each of which may have so many.
// Ports without an answer must be among those that were connected from.
func (o *Outcome) checkPorts(each int) error {
	for _, ranges := range [][]scenario.PortRange{o.Ports, o.Silent} {
		if err := checkAscending(ranges); err != nil {
			return err
		}
	}
	ports, silent := CountPorts(o.Ports), CountPorts(o.Silent)
	switch {
	case ports > each*o.Requests:
		return fmt.Errorf("report: %d source ports for %s", ports, format.Plural(o.Requests, "request", "requests"))
	case silent > o.Failures[result.Timeout]:
		return fmt.Errorf("report: %s of %s", format.Plural(silent, "source port", "source ports"), format.Plural(o.Failures[result.Timeout], "timeout", "timeouts"))
	}
	used := o.Ports
	for _, s := range o.Silent {
		for len(used) > 0 && used[0].Last < s.First {
			used = used[1:]
		}
		if len(used) == 0 || s.First < used[0].First || s.Last > used[0].Last {
			return fmt.Errorf("report: no answer to source ports %d to %d, which were not all connected from", s.First, s.Last)
		}
	}
	return nil
}

// checkAscending returns an error if ranges do not ascend, or touch or overlap.
func checkAscending(ranges []scenario.PortRange) error {
	free := 1 // the first port that the next range may begin at
	for _, p := range ranges {
		if int(p.First) < free || p.First > p.Last {
			return fmt.Errorf("report: source ports %d to %d", p.First, p.Last)
		}
		free = int(p.Last) + 2
	}
	return nil
}

// checkCounts returns an error for counts that no server can have.
func (s *Served) checkCounts() error {
	for name, n := range map[string]*uint64{
		"accepted": &s.Accepted, "control_accepted": &s.ControlAccepted, "strangers": &s.Strangers, "malformed": &s.Malformed, "receive_drops": s.ReceiveDrops, "listen_overflows": s.ListenOverflows, "listen_drops": s.ListenDrops, "paws_timewait": s.PAWSTimewait,
		"tw_recycled": s.TWRecycled, "retrans_segs": s.RetransSegs, "embryonic_rsts": s.EmbryonicRsts,
	} {
		if n != nil && *n > maxCount {
			return fmt.Errorf("served: %s is %d", name, *n)
		}
	}
	if err := s.Ports.check(s.Accepted); err != nil {
		return fmt.Errorf("served: %w", err)
	}
	if err := s.ControlPorts.check(s.ControlAccepted); err != nil {
		return fmt.Errorf("served: control: %w", err)
	}
	return s.checkSources()
}

// checkSources checks the sources against the accepted connections. The addresses must
// ascend, so none occurs twice.
func (s *Served) checkSources() error {
	if len(s.Sources) > MaxSources {
		return fmt.Errorf("served: connections from %d addresses", len(s.Sources))
	}
	left, before := s.Accepted, netip.Addr{}
	for _, from := range s.Sources {
		if from.Address.Is4In6() || from.Address.Zone() != "" || !before.Less(from.Address) || from.Accepted < 1 || from.Accepted > left {
			return fmt.Errorf("served: %d of %s from %.60q", from.Accepted, format.Plural(int(s.Accepted), "connection", "connections"), from.Address.String())
		}
		left, before = left-from.Accepted, from.Address
	}
	return nil
}
