package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/idle"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Agent executes the orders of a controller, for one run.
type Agent struct {
	Patience time.Duration // how long it waits for an order; zero: patience

	lock     *undo.Lock
	journal  *undo.Journal
	clients  []netip.Addr
	arms     []scenario.Arm
	protocol string  // of the load
	search   *search // for the rules; nil: none is under way
	rules    *rules  // that were found; nil: none yet
	ended    bool    // the controller has ended the run
}

// execute executes one order and returns its answer.
func (a *Agent) execute(ctx context.Context, order probe.Routing) (*probe.Routing, error) {
	do, known := orders[order.Order]
	if !known {
		return nil, fmt.Errorf("a router cannot answer the order %.40q", order.Order)
	}
	answer, err := do(ctx, a, order.Values)
	if err != nil {
		return nil, err
	}
	values, err := json.Marshal(answer)
	return &probe.Routing{Order: order.Order, Values: values}, err
}

// orders are what an agent can do.
var orders = map[string]func(context.Context, *Agent, json.RawMessage) (any, error){
	orderAwake:   orderOf(func(*Agent, context.Context, none) (none, error) { return none{}, nil }),
	orderCheck:   orderOf((*Agent).check),
	orderCleanup: orderOf((*Agent).cleanup),
	orderOpen:    orderOf((*Agent).open),
	orderFind:    orderOf((*Agent).find),
	orderSent:    orderOf((*Agent).sent),
	orderWiden:   orderOf((*Agent).widen),
	orderControl: orderOf((*Agent).insertControl),
	orderApply:   orderOf((*Agent).apply),
	orderUndo:    orderOf((*Agent).undoArm),
	orderPackets: orderOf((*Agent).readPackets),
	orderOthers:  orderOf((*Agent).readOthers),
	orderTable:   orderOf((*Agent).readTable),
	orderEntries: orderOf((*Agent).lookUp),
	orderForget:  orderOf((*Agent).forget),
	orderFacts:   orderOf((*Agent).readFacts),
	orderClock:   orderOf(func(*Agent, context.Context, none) (int64, error) { return probe.MonotonicTime(), nil }),
	orderClose:   orderOf((*Agent).closeRun),
}

// orderOf returns the order that calls do with its values.
func orderOf[Values, Answer any](do func(*Agent, context.Context, Values) (Answer, error)) func(context.Context, *Agent, json.RawMessage) (any, error) {
	return func(ctx context.Context, a *Agent, raw json.RawMessage) (any, error) {
		var values Values
		if err := json.Unmarshal(raw, &values); err != nil {
			return nil, fmt.Errorf("read the values of an order: %w", err)
		}
		return do(a, ctx, values)
	}
}

// undoers undo what a run changes on a node.
func undoers() undo.Undoers {
	all := nat.Undoers()
	maps.Copy(all, ruleUndoers())
	maps.Copy(all, lab.Undoers())
	all[kindBarrier] = undo.NewUndoer(func(context.Context, none) error { return os.RemoveAll(BarrierFolder) })
	return all
}

// open begins a run: it takes the node's lock and undoes what crashed runs have left.
func (a *Agent) open(ctx context.Context, o OpenOrder) (Opened, error) {
	if a.journal != nil {
		return Opened{}, errors.New("a run is open already")
	}
	if err := machine.RequireMet([]machine.Precondition{lab.CheckConntrack(o.Entries, true)}); err != nil {
		return Opened{}, err
	}
	opened := Opened{Facts: machine.ReadFacts(result.DriverKubernetes)}
	var err error
	if a.lock, err = undo.TakeLock(undo.Dir, o.What); err != nil {
		return Opened{}, err
	}
	err = undo.Replay{
		Dir: undo.Dir, Undoers: undoers(), Kept: true, Notify: func(string) {},
		Announce: func(s undo.Step) { opened.Undone = append(opened.Undone, s.What) },
	}.Run(undo.Context(ctx))
	if err != nil {
		return Opened{}, fmt.Errorf("undo what a crashed run has left: %w", err)
	}
	if a.journal, err = undo.CreateJournal(undo.Dir, o.Run, undoers()); err != nil {
		return Opened{}, err
	}
	a.arms, a.protocol = o.Arms, o.Protocol
	if o.Barrier {
		if err := a.makeBarrier(ctx); err != nil {
			opened.NoBarrier = err.Error()
		}
	}
	opened.Addresses, err = listAddresses()
	return opened, err
}

const kindBarrier = "router.barrier"

// makeBarrier makes the folder in which the clients, which are not root, make the file of
// the barrier. No other user of the node can enter the folder above it.
func (a *Agent) makeBarrier(ctx context.Context) error {
	step := undo.NewStep(kindBarrier, "folder "+BarrierFolder, "rm -r "+BarrierFolder, none{})
	_, err := a.journal.Do(ctx, step, func(context.Context) error {
		if err := os.Chmod(undo.Dir, 0o700); err != nil {
			return err
		}
		if err := os.Mkdir(BarrierFolder, 0o700); err != nil {
			return err
		}
		return os.Chmod(BarrierFolder, 0o777) // whatever the umask
	})
	return err
}

// listAddresses lists the IPv4 addresses of the node.
func listAddresses() (all []netip.Addr, err error) {
	list, err := machine.ListByNetlink(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_V4) })
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			all = append(all, ip)
		}
	}
	return all, err
}

// widen adds idle rules for the packets of the clients.
func (a *Agent) widen(ctx context.Context, rules lab.IdleRules) (widened, error) {
	var sources []netip.Prefix
	for _, c := range a.clients {
		sources = append(sources, netip.PrefixFrom(c, c.BitLen()))
	}
	err := idle.AddRules(ctx, a.journal, sources, rules.Number)
	if _, missing := errors.AsType[*transaction.MissingError](err); missing && !rules.Required {
		return widened{Reason: err.Error()}, nil
	}
	return widened{Rules: rules.Number}, err
}

func (a *Agent) readTable(context.Context, none) (conntrack.Snapshot, error) {
	return conntrack.ReadSnapshot()
}

func (a *Agent) lookUp(ctx context.Context, c connections) ([]map[uint16]string, error) {
	if err := a.checkClients(c); err != nil {
		return nil, err
	}
	return lab.LookUpEntries(ctx, a.protocol, a.clients, c.Server, c.Ports)
}

func (a *Agent) forget(ctx context.Context, c connections) (none, error) {
	if err := a.checkClients(c); err != nil {
		return none{}, err
	}
	return none{}, lab.ForgetEntries(ctx, a.protocol, a.clients, c.Server, c.Ports)
}

// checkClients returns an error for connections of clients that the run does not have.
func (a *Agent) checkClients(c connections) error {
	if len(c.Ports) > len(a.clients) {
		return fmt.Errorf("connections of %d clients; the run has %d", len(c.Ports), len(a.clients))
	}
	return nil
}

func (a *Agent) readFacts(context.Context, none) (liveFacts, error) {
	facts := liveFacts{Sysctls: machine.ReadRaceSysctls()}
	s, err := conntrack.ReadSnapshot()
	if err == nil {
		facts.Max = &s.Max
	}
	return facts, err
}

// closeRun restores the node and ends the agent.
func (a *Agent) closeRun(ctx context.Context, _ none) (c closed, err error) {
	err = a.restoreNode(ctx)
	if left, ok := errors.AsType[*undo.LeftError](err); ok {
		c.Left = listLeft(left)
		return c, nil
	}
	a.ended = err == nil
	return c, err
}

// restoreNode undoes every change. It may be called again.
func (a *Agent) restoreNode(ctx context.Context) error {
	a.search.stop()
	if a.journal == nil {
		return nil
	}
	err := a.journal.Close(undo.Context(ctx))
	if err == nil {
		a.journal = nil
		err = a.lock.Release()
	}
	return err
}

// listLeft returns the steps of an error as they go over the wire.
func listLeft(e *undo.LeftError) (all []leftStep) {
	for _, l := range e.Left {
		all = append(all, leftStep{l.Step, l.Err.Error()})
	}
	return all
}
