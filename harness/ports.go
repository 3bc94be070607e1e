package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/lab"
	"snatlab/harness/probe/load/lockstep"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// choosePorts chooses the source ports that lockstep clients leave from, in every
// trial of every arm: those that ordinary clients in the same namespaces have. It
// returns an error if a trial needs more of them than there are. It lowers mostRequests
// to what the ports allow.
//
// Two trials may use the same ports. Each has a server port of its own, and the
// entries of the previous trial are deleted (see forgetEntries).
func (x *experiment) choosePorts(ctx context.Context) error {
	own := scenario.PortRange{First: 1, Last: 65535}
	for _, c := range x.lab.Clients() {
		of := scenario.DefaultPorts // where the client could not read its own
		if p := c.Hello.LocalPorts; p != nil {
			of = *p
		}
		own = own.Intersect(of)
	}
	ports := x.Scenario.ClientPorts(own)
	x.reopened = x.Scenario.ReopenedPorts(own)
	need, slots, why := x.countOwnPorts(x.Load.Requests), x.countSlots(x.Load.Requests), ""
	switch {
	case need > slots:
		why = " where each client has its own (client_ports: split)"
	case slots > x.Load.Requests:
		why = fmt.Sprintf(" (%s take turns on %s)", format.Plural(x.Clients, "client", "clients"), format.Plural(x.clientCPUs(), "CPU", "CPUs"))
	}
	if need > ports.Slots() {
		return fmt.Errorf("source ports: a trial needs %d%s, and the clients have %d, %s (%d of them without those reserved for slots that are made up); "+
			"send fewer requests (load.requests), or widen net.ipv4.ip_local_port_range of the clients",
			need, why, ports.Len(), describeClientPorts(ports), ports.Slots())
	}
	x.ports = ports
	x.addControl()
	if err := x.limitRequests(ctx); err != nil {
		return err
	}
	x.result.Scenario.ClientPorts = &result.Ports{First: int(ports.First), Last: int(ports.First) + x.countSlots(x.mostRequests) - 1}
	return x.partPorts(ctx)
}

// checkAccepted returns an error if the server does not accept the source ports that the
// clients connect from.
func (x *experiment) checkAccepted() error {
	if result.InLockstep(x.Load.Pattern) {
		return errors.Join(x.CheckAccepted(x.ports), x.CheckAccepted(cmp.Or(x.control.ports, x.ports)))
	}
	for _, c := range x.lab.Clients() {
		own := scenario.DefaultPorts
		if p := c.Hello.LocalPorts; p != nil {
			own = *p
		}
		if err := x.CheckAccepted(own); err != nil {
			return err
		}
	}
	return nil
}

// countSlots returns the number of slots of an arm in a trial of so many requests of each
// client.
func (x *experiment) countSlots(requests int) int {
	return lockstep.CountSlots(x.Clients, x.clientCPUs(), requests)
}

// countOwnPorts returns the number of source ports of the slots of an arm in such a trial.
func (x *experiment) countOwnPorts(requests int) int {
	n := x.countSlots(requests)
	if x.Splits() {
		n = max(n, requests*x.Clients)
	}
	return n
}

// limitRequests lowers mostRequests to the largest trial that the source ports, the
// conntrack table and the files of the probes allow. It is at least as large as the scenario says.
func (x *experiment) limitRequests(ctx context.Context) error {
	allowed := x.Load.Requests
	if x.mostRequests > allowed {
		table, err := x.lab.Conntrack(ctx)
		if err != nil {
			return err
		}
		beyond := min(x.mostRequests, scenario.MaxTrial/x.Clients) + 1
		for beyond-allowed > 1 {
			n := (allowed + beyond) / 2
			if x.sparePorts(n, x.control.every) >= 0 && lab.CheckRoom(table, x.countEntries(n), x.lab.Shared()) == "" && x.checkFiles(n) == nil {
				allowed = n
			} else {
				beyond = n
			}
		}
	}
	x.mostRequests = allowed
	return nil
}

// countConnections returns the number of connections, at most, of all clients in a trial
// of so many requests of each, with those of the control.
func (x *experiment) countConnections(requests int) int {
	own := requests
	if x.Reopens() {
		own *= 2
	}
	return x.Clients * (own + x.control.countConnections(requests))
}

// countEntries returns the number of entries that the conntrack table is to have room for
// before such a trial: none where it is to be full.
func (x *experiment) countEntries(requests int) int {
	if x.Lab.ConntrackMax > 0 {
		return 0
	}
	return x.countConnections(requests)
}

// describeClientPorts returns a range of ports as text, for an error.
func describeClientPorts(r scenario.PortRange) string {
	if r.Len() == 0 {
		return "none that all of them have in all arms"
	}
	return r.String()
}

// ownPorts returns the source ports of one client, where each client has a part of
// the ports of the arm.
func (x *experiment) ownPorts(client int) scenario.PortRange {
	n := x.ports.Len() / x.Clients
	first := int(x.ports.First) + client*n
	return scenario.PortRange{First: uint16(first), Last: uint16(first + n - 1)}
}
