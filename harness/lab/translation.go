package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snatlab/harness/nat"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/snat"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// translation is what translates the clients' connections: the rule of their network,
// which arms rewrite, or rules that were found by their effect, before which arms put
// their own.
type translation interface {
	insertControl(ctx context.Context, journal *undo.Journal, of snat.Connections) (controlRule, error)
	apply(ctx context.Context, journal *undo.Journal, o snat.Options, parts []snat.Part) (appliedRule, error)
}

// controlRule is the rule of the control, or its rules.
type controlRule interface {
	Text() string
	Packets(context.Context) (uint64, error)
}

// appliedRule is what translates while an arm is in force.
type appliedRule interface {
	Text() string
	Packets(context.Context) (uint64, error)
	BothPackets(context.Context) (own, control uint64, err error)
	ReadCounters(context.Context) nat.RuleCounters
	FirstCounters(context.Context) nat.RuleCounters
	Undo(context.Context) error
}

// translation returns Found if it is set, and otherwise Rule.
func (b *Base) translation() translation {
	if b.Found != nil {
		if !b.Found.Server.IsValid() { // it was found before the server had an address
			b.Found.Server = b.serverNetwork()
		}
		return foundRules{b.Found}
	}
	return networkRule{b.Rule}
}

type networkRule struct{ *nat.Rule }

func (r networkRule) insertControl(ctx context.Context, journal *undo.Journal, of snat.Connections) (controlRule, error) {
	c, err := r.InsertControl(ctx, journal, of)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (r networkRule) apply(ctx context.Context, journal *undo.Journal, o snat.Options, parts []snat.Part) (appliedRule, error) {
	a, err := r.Apply(ctx, journal, o, parts...)
	if err != nil {
		return nil, err
	}
	return a, nil
}

type foundRules struct{ *effect.Rules }

func (r foundRules) insertControl(ctx context.Context, journal *undo.Journal, of snat.Connections) (controlRule, error) {
	c, err := r.InsertControl(ctx, journal, of)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// errFoundParts is the error of rules for parts of the connections where nobody knows the
// rule of the network.
var errFoundParts = errors.New("ports_per_client, or several ranges in to_ports: the rules here were found by their effect, and rules for a part of the connections are possible only before a rule that Docker writes for its network with iptables (use driver netns)")

func (r foundRules) apply(ctx context.Context, journal *undo.Journal, o snat.Options, parts []snat.Part) (appliedRule, error) {
	if len(parts) > 0 {
		return nil, errFoundParts
	}
	a, err := r.Apply(ctx, journal, o)
	if err != nil {
		return nil, err
	}
	return foundApplied{a}, nil
}

type foundApplied struct{ *effect.Applied }

// FirstCounters returns the counters of now: nothing was listed when the arm was applied.
func (a foundApplied) FirstCounters(ctx context.Context) nat.RuleCounters { return a.ReadCounters(ctx) }

// findTimeout is that of the connections by which rules are found.
const findTimeout = 900 * time.Millisecond

// FindRules returns the rules that translate the clients' connections, by their effect:
// it has the clients open some. The clients and the server must run.
func (b *Base) FindRules(ctx context.Context) (found *effect.Rules, err error) {
	at, err := b.Listen(ctx, 0, false)
	if err != nil {
		return nil, err
	}
	ports, asked, opened := make([][]scenario.PortRange, len(b.clients)), 0, 0
	send := func(ctx context.Context, client, n int) error {
		report, err := b.clients[client].Run(ctx, probe.ClientLoad{Protocol: b.Protocol, Server: at.Arm, Requests: n, Timeout: findTimeout, Concurrency: 1})
		if err == nil {
			ports[client] = append(ports[client], report.Ports...)
			asked, opened = asked+n, opened+report.Succeeded
		}
		return err
	}
	err = b.Router(func() (err error) {
		found, err = effect.Find(ctx, b.Journal, effect.Connections{Clients: b.addresses, Server: b.serverNetwork(), UDP: b.Protocol == result.UDP, Send: send})
		return err
	})
	if err != nil && asked > 0 {
		err = fmt.Errorf("%w (%d of %d connections reached the server at %v)", err, opened, asked, at.Arm)
	}
	err = errors.Join(err, b.Forget(undo.Context(ctx), at.Arm, ports))
	if err != nil {
		return nil, err
	}
	_, err = b.Finish(ctx)
	return found, err
}

// CheckFound reports why no rule can stand in for one of those that were found, for one of
// the arms. Nothing is changed.
func CheckFound(ctx context.Context, found *effect.Rules, arms []scenario.Arm, protocol string) error {
	for _, arm := range arms {
		if arm.SNAT.PortsPerClient > 0 || len(arm.SNAT.ToPorts) > 1 {
			return errFoundParts
		}
	}
	return found.Check(ctx, optionsOf(arms, protocol)...)
}
