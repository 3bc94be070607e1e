package router

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

const (
	// answerLimit bounds the wait for the answer to most orders.
	answerLimit = 30 * time.Second
	// restoreLimit bounds it where the agent restores the node.
	restoreLimit = 3 * time.Minute
)

// Session is the controller's side of an agent. It is the part of a [lab.Lab] that
// translates.
type Session struct {
	*probe.RouterSession
	node  string // its name
	facts result.Env
	found []FoundRule
	text  string // of the control's rule; empty: there is none

	awake  sync.WaitGroup
	hangUp chan struct{}
}

// Connect waits for the agent on a node, and keeps it from restoring the node by itself.
func Connect(ctx context.Context, stream probe.Stream, node string) (*Session, error) {
	r, err := probe.OpenRouter(ctx, stream)
	if err != nil {
		return nil, err
	}
	s := &Session{RouterSession: r, node: node, hangUp: make(chan struct{})}
	s.awake.Go(s.keepAwake)
	return s, nil
}

// keepAwake sends an order from time to time, until the session is closed or fails.
func (s *Session) keepAwake() {
	tick := time.NewTicker(awakeInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.Ask(context.Background(), answerLimit, orderAwake, none{}, &none{}) != nil {
				return
			}
		case <-s.hangUp:
			return
		}
	}
}

// HangUp ends the session. An agent whose run was not closed restores the node.
func (s *Session) HangUp() error {
	select {
	case <-s.hangUp:
		return nil
	default:
	}
	close(s.hangUp)
	err := s.RouterSession.Close()
	s.awake.Wait()
	return err
}

// ask sends an order and returns its answer.
func ask[Answer any](ctx context.Context, s *Session, order string, values any) (answer Answer, err error) {
	err = s.Ask(ctx, answerLimit, order, values, &answer)
	return answer, err
}

// Check returns what a run needs of the node.
func (s *Session) Check(ctx context.Context, o CheckOrder) ([]machine.Precondition, error) {
	return ask[[]machine.Precondition](ctx, s, orderCheck, o)
}

// Cleanup undoes the journals of the node.
func (s *Session) Cleanup(ctx context.Context, o CleanupOrder) (c Cleaned, err error) {
	err = s.Ask(ctx, restoreLimit, orderCleanup, o, &c)
	return c, err
}

// Open begins a run.
func (s *Session) Open(ctx context.Context, o OpenOrder) (opened Opened, err error) {
	err = s.Ask(ctx, restoreLimit, orderOpen, o, &opened) // it may have to undo another run
	s.facts = opened.Facts
	return opened, err
}

// FindRules finds the rules that translate connections of clients to a server. Send opens
// n connections of a client.
func (s *Session) FindRules(ctx context.Context, clients []netip.Addr, server netip.Addr, send func(ctx context.Context, client, n int) error) ([]FoundRule, error) {
	step, err := ask[findStep](ctx, s, orderFind, findOrder{clients, server})
	for err == nil && step.Send != nil {
		sent := sentOrder{}
		if failed := send(ctx, step.Send.Client, step.Send.Connections); failed != nil {
			sent.Error = failed.Error()
		}
		step, err = ask[findStep](ctx, s, orderSent, sent)
	}
	s.found = step.Found
	return step.Found, err
}

// RuleTexts returns the rules that were found.
func (s *Session) RuleTexts() (all []string) {
	for _, f := range s.found {
		all = append(all, fmt.Sprintf("%s, %s: %s", f.Program, f.Place, f.Text))
	}
	return all
}

// DrawsPorts reports whether one of them has --random-fully or --random already.
func (s *Session) DrawsPorts() bool {
	return slices.ContainsFunc(s.found, func(f FoundRule) bool { return f.DrawsPorts })
}

// Writer returns what wrote the rules: result.NATIPTables or result.NATNFTables.
func (s *Session) Writer() string {
	if slices.ContainsFunc(s.found, func(f FoundRule) bool { return strings.HasPrefix(f.Program, result.NATIPTables) }) {
		return result.NATIPTables
	}
	return result.NATNFTables
}

// AddIdleRules adds idle rules for the packets of the clients.
func (s *Session) AddIdleRules(ctx context.Context, rules lab.IdleRules) error {
	if rules.Number == 0 {
		return nil
	}
	w, err := ask[widened](ctx, s, orderWiden, rules)
	s.facts.Widened, s.facts.NotWidened = w.Rules, w.Reason
	return err
}

// Facts returns the facts of the node.
func (s *Session) Facts(ctx context.Context) result.Env {
	env := s.facts
	env.ControlRule = s.text
	if live, err := ask[liveFacts](ctx, s, orderFacts, none{}); err == nil {
		env.Sysctls, env.ConntrackMax = live.Sysctls, live.Max
	}
	return env
}

// InsertControl implements [lab.Lab].
func (s *Session) InsertControl(ctx context.Context, ports scenario.PortRange) (err error) {
	s.text, err = ask[string](ctx, s, orderControl, ports)
	return err
}

// ControlRule implements [lab.Lab].
func (s *Session) ControlRule() string { return s.text }

// ControlPackets implements [lab.Lab].
func (s *Session) ControlPackets(ctx context.Context) (uint64, error) {
	if s.text == "" {
		return 0, nil
	}
	p, err := ask[packets](ctx, s, orderPackets, none{})
	return p.Control, err
}

// Conntrack implements [lab.Lab].
func (s *Session) Conntrack(ctx context.Context) (conntrack.Snapshot, error) {
	return ask[conntrack.Snapshot](ctx, s, orderTable, none{})
}

// MonotonicTime implements [lab.Lab].
func (s *Session) MonotonicTime(ctx context.Context) (int64, error) {
	return ask[int64](ctx, s, orderClock, none{})
}

// Entries implements [lab.Lab].
func (s *Session) Entries(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) ([]map[uint16]string, error) {
	return ask[[]map[uint16]string](ctx, s, orderEntries, connections{server, ports})
}

// Forget implements [lab.Lab].
func (s *Session) Forget(ctx context.Context, server netip.AddrPort, ports [][]scenario.PortRange) error {
	_, err := ask[none](ctx, s, orderForget, connections{server, ports})
	return err
}

// Apply implements [lab.Lab].
func (s *Session) Apply(ctx context.Context, arm scenario.Arm) (lab.ArmRule, error) {
	text, err := ask[string](ctx, s, orderApply, arm)
	if err != nil {
		return nil, err
	}
	r := &armRule{session: s, text: text}
	r.draws = s.DrawsPorts() && arm.Masquerade == scenario.MasqueradeOptions{} && len(arm.SNAT.ToSource) == 0
	if arm.ClientPorts != "" { // the controller gives them to the clients
		r.settings = append(r.settings, result.Setting{Part: result.PartClients, Key: result.KeySourcePorts, Value: arm.ClientPorts})
	}
	return r, nil
}

// armRule is the rule of an arm in force.
type armRule struct {
	session  *Session
	text     string
	draws    bool // the node's own rules translate, and draw source ports
	settings []result.Setting
}

func (r *armRule) Rule() string { return r.text }

// DrawsPorts reports whether the node's rules draw source ports by themselves.
func (r *armRule) DrawsPorts() bool { return r.draws }

func (r *armRule) Settings() []result.Setting { return r.settings }

func (r *armRule) Packets(ctx context.Context) (uint64, error) {
	own, _, err := r.BothPackets(ctx)
	return own, err
}

func (r *armRule) BothPackets(ctx context.Context) (own, control uint64, err error) {
	p, err := ask[packets](ctx, r.session, orderPackets, none{})
	return p.Own, p.Control, err
}

func (r *armRule) Counters(ctx context.Context) lab.RuleCounters {
	c, err := ask[lab.RuleCounters](ctx, r.session, orderOthers, none{})
	if err != nil {
		c.Unread = append(c.Unread, err.Error())
	}
	return c
}

// Undo does nothing if the session has failed: its error is known, and the end of the lab
// restores the node.
func (r *armRule) Undo(ctx context.Context) error {
	if r.session.Failed() != nil {
		return nil
	}
	_, err := ask[none](ctx, r.session, orderUndo, none{})
	return err
}

// Restore undoes every change on the node, and ends the session. What is left is an
// *undo.LeftError.
func (s *Session) Restore(ctx context.Context) error {
	var c closed
	err := s.Ask(ctx, restoreLimit, orderClose, none{}, &c)
	if err == nil && c.Left != nil {
		err = LeftError(s.node, c.Left)
	}
	return errors.Join(err, s.HangUp())
}

// LeftError returns the error for changes that are left on a node.
func LeftError(node string, steps []leftStep) error {
	e := &undo.LeftError{Host: "node " + node, Cleanup: fmt.Sprintf("snatlab cleanup --driver %s --node %s", result.DriverKubernetes, node)}
	for _, l := range steps {
		e.Left = append(e.Left, undo.Left{Step: l.Step, Err: errors.New(l.Error)})
	}
	return e
}
