package harness

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"

	"snatlab/harness/probe"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// control is the part of a lockstep trial that passes plain masquerade, the same in
// all trials of a run. The zero value is no control.
type control struct {
	server netip.AddrPort     // of the current trial
	every  int                // there is a slot of the control for every so many of the arm; 0: no control
	seed   uint64             // draws which slots are the control's
	ports  scenario.PortRange // that its slots leave from, in all arms
	delays [][]int64          // of each client, for the next trial
}

func (c *control) exists() bool { return c.every > 0 }

// fewestSlots is the number of slots below which a control is not worth its ports,
// unless each slot of the arm has one.
const fewestSlots = 32

// addControl parts the clients' source ports: the first are for the slots of an arm, and
// the last for those of the control. Each part has a reserve for slots that are made up.
// Two connections from one port would share NAT's memory of it (see forgetEntries), so
// the parts do not overlap. They suffice for the largest trial of the run.
//
// Where the ports do not suffice for a slot of the control for each slot of the arm,
// there is one for every second slot, or third, and so on. A scenario that uses nearly
// all ports has no control, which is a warning. Trials are not made larger at the cost of
// slots of the control.
func (x *experiment) addControl() {
	if !x.lab.HasControl() {
		return
	}
	for every := 1; ; every++ {
		n := x.countControlSlots(x.Load.Requests, every)
		if n == 0 || n < fewestSlots && every > 1 {
			x.addWarning(result.Warning{Code: result.NoControl, Count: x.ports.Len(), Of: scenario.PortsForSlots(x.countOwnPorts(x.Load.Requests))})
			return
		}
		if x.sparePorts(x.Load.Requests, every) < 0 {
			continue
		}
		x.control = control{every: every, seed: x.result.Scenario.Seed}
		return
	}
}

// partPorts sets the ports of the control, if there is one, and inserts its rule.
func (x *experiment) partPorts(ctx context.Context) error {
	if !x.control.exists() {
		return nil
	}
	own, spare := scenario.PortsForSlots(x.countOwnPorts(x.mostRequests)), x.sparePorts(x.mostRequests, x.control.every)
	border := x.ports.First + uint16(own+spare/2)
	x.control.ports = scenario.PortRange{First: border, Last: x.ports.Last}
	x.ports.Last = border - 1
	if err := x.lab.InsertControl(ctx, x.control.ports); err != nil {
		return err
	}
	x.result.Environment.ControlRule = x.lab.ControlRule()
	return nil
}

// fewestControlPorts is the smallest range of ports that the rule of the control matches.
const fewestControlPorts = 2

// swapsPorts reports whether the arm and its control have each other's server ports in a
// trial of an arm that has had so many: two ports differ in their hash buckets, and in
// their places among the server's listeners. Of each two trials of an arm one is swapped,
// which one is drawn. In a round it is the same for all arms.
func (x *experiment) swapsPorts(trials int) bool {
	draw := rand.New(rand.NewPCG(x.result.Scenario.Seed, swapDraw))
	for range trials / 2 {
		draw.IntN(2)
	}
	return draw.IntN(2) != trials%2
}

// swapDraw keeps the draws of swapsPorts apart from those of the order of the arms.
const swapDraw = 1 << 32

// countControlSlots returns the number of slots of the control in a trial of so many
// requests of each client.
func (x *experiment) countControlSlots(requests, every int) int {
	return lockstep.CountControlSlots(x.Clients, x.clientCPUs(), requests, every)
}

// sparePorts returns the number of ports that a trial of so many requests of each client
// leaves over; negative if the ports do not suffice for it. With every 0 there is no
// control.
func (x *experiment) sparePorts(requests, every int) int {
	spare := x.ports.Len() - scenario.PortsForSlots(x.countOwnPorts(requests))
	if every > 0 {
		spare -= max(fewestControlPorts, scenario.PortsForSlots(x.countControlSlots(requests, every)))
	}
	return spare
}

func (x *experiment) addWarning(w result.Warning) {
	x.result.WarningValues = append(x.result.WarningValues, w)
}

// partOf returns the part of one client, or nil where there is no control.
func (c *control) partOf(client int) *probe.ControlPart {
	if !c.exists() {
		return nil
	}
	part := &probe.ControlPart{Server: c.server, Every: c.every, Seed: c.seed, Ports: c.ports}
	if c.delays != nil {
		part.Delays = c.delays[client]
	}
	return part
}

// countConnections returns the number of connections of the control, at most, for so many
// requests of an arm.
func (c *control) countConnections(requests int) int {
	if !c.exists() {
		return 0
	}
	return requests / c.every
}

// keepDelays keeps the delays that the clients ended a trial with for the next one,
// whatever the arms are. A delay that all clients have in common moves none of them
// against another: the least of all is taken off.
func (c *control) keepDelays(reports []*probe.Report) {
	if !c.exists() {
		return
	}
	c.delays = make([][]int64, len(reports))
	least := int64(-1)
	for i, r := range reports {
		if r.Phase == nil {
			continue
		}
		c.delays[i] = slices.Clone(r.Phase.Delays)
		for _, delay := range r.Phase.Delays {
			if least < 0 || delay < least {
				least = delay
			}
		}
	}
	for _, delays := range c.delays {
		for place := range delays {
			delays[place] -= least
		}
	}
}

// recordControl records in a trial what the clients report of its control.
func (x *experiment) recordControl(t *result.Trial, reports []*probe.Report) {
	if !x.control.exists() {
		return
	}
	var outcomes []*probe.Outcome
	phase, turns, locked := &result.Phase{}, 0, 0
	for i, r := range reports {
		outcomes = append(outcomes, r.Control)
		p := r.Phase
		if i == 0 {
			phase.DelayLow = p.DelayLow
		}
		phase.DelayLow, phase.DelayHigh = min(phase.DelayLow, p.DelayLow), max(phase.DelayHigh, p.DelayHigh)
		phase.Searches += p.Searches
		turns, locked = turns+p.Turns, locked+p.Locked
	}
	phase.Locked = float64(locked) / float64(max(1, turns))
	sum := sumOutcomes(outcomes)
	t.Phase = phase
	t.Control = &result.Control{
		Port: int(x.control.server.Port()), Requests: sum.requests, Failed: sum.failed, SourcePorts: sum.ports,
		Failures: sum.failures, Latency: sum.latency, Unanswered: sum.unanswered,
	}
}

// hitsNothing reports whether a trial says nothing: neither the arm nor its control
// lost a request to the race, so the arm had nothing to lose.
func hitsNothing(t *result.Trial) bool {
	return t.Control != nil && t.Causes[result.SNATRace]+t.Control.Causes[result.SNATRace] == 0
}
