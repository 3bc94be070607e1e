package lab

import (
	"context"
	"fmt"

	"snatlab/harness/lab/filter"
	"snatlab/harness/probe"
)

// FilterServer makes the lab's own server accept only packets from the source ports in
// Accept. A server without a limit is left as it is. The rules are in the server's
// namespace, which ends with the lab, and need no journal.
func (b *Base) FilterServer(ctx context.Context) error {
	switch {
	case !b.Accept.Valid():
		return nil
	case b.inServer == nil:
		return fmt.Errorf("accept source ports %v alone: the server is not the lab's own", b.Accept)
	}
	b.Say(fmt.Sprintf("filtering source ports of the server: %v are accepted", b.Accept))
	return b.inServer(func() error { return b.filterRules().Insert(ctx) })
}

// filterRules returns the rules of the server's filter.
func (b *Base) filterRules() filter.Rules {
	return filter.Rules{Server: b.address, Protocol: b.Protocol, Accept: b.Accept, Common: b.commonPort()}
}

// Listen opens the server ports of a trial, and begins to count what the filter drops.
func (b *Base) Listen(ctx context.Context, trial int, swapped bool) (ServerPorts, error) {
	at, err := b.Sessions.Listen(ctx, trial, swapped)
	if err == nil {
		b.listening = at
		b.dropped, err = b.readFilter(ctx)
	}
	return at, err
}

// Finish closes the ports that are open, and returns what was served, and what the filter
// dropped.
func (b *Base) Finish(ctx context.Context) (*probe.Served, error) {
	served, err := b.Sessions.Finish(ctx)
	if err != nil || !b.Accept.Valid() {
		return served, err
	}
	now, err := b.readFilter(ctx)
	if err != nil {
		return nil, err
	}
	n, err := now.Since(b.dropped)
	if err != nil {
		return nil, err
	}
	served.Filtered = &probe.Filtered{Arm: n.Others, Control: n.Common}
	if b.listening.Arm.Port() == b.commonPort() {
		served.Filtered = &probe.Filtered{Arm: n.Common, Control: n.Others}
	}
	return served, nil
}

func (b *Base) readFilter(ctx context.Context) (n filter.Counts, err error) {
	if !b.Accept.Valid() {
		return n, nil
	}
	err = b.inServer(func() (err error) {
		n, err = b.filterRules().Read(ctx)
		return err
	})
	return n, err
}
