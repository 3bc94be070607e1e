package router

import (
	"context"
	"errors"
	"fmt"

	"snatlab/harness/lab"
	"snatlab/harness/nat/effect"
	"snatlab/harness/nat/snat"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// rules are the rules that translate the clients' connections, and what stands before them.
type rules struct {
	found   *effect.Rules
	control *effect.Control // nil: there is none
	applied *effect.Applied // nil: no arm is in force
}

func ruleUndoers() undo.Undoers { return effect.Undoers() }

// search is a search for the rules, during which the controller is asked to have the
// clients open connections.
type search struct {
	cancel context.CancelCauseFunc
	steps  chan findStep // orders to the controller, and at last what was found
	sent   chan error    // the answers
	failed error         // set when steps is closed
	found  *effect.Rules // the same
}

// find begins to look for the rules.
func (a *Agent) find(ctx context.Context, o findOrder) (findStep, error) {
	if a.journal == nil || a.search != nil {
		return findStep{}, errors.New("no run is open, or a search is under way")
	}
	a.clients = o.Clients
	search := &search{steps: make(chan findStep), sent: make(chan error)}
	ctx, search.cancel = context.WithCancelCause(ctx)
	a.search = search
	journal, protocol := a.journal, a.protocol
	go func() {
		defer close(search.steps)
		search.found, search.failed = effect.Find(ctx, journal, effect.Connections{
			Clients: o.Clients, Server: snat.ServerAt(o.Server), UDP: protocol == result.UDP,
			Send: func(ctx context.Context, client, n int) error { return search.send(ctx, sendStep{client, n}) },
		})
	}()
	return a.nextStep(ctx)
}

// send has the controller open connections, and waits until it has.
func (s *search) send(ctx context.Context, step sendStep) error {
	select {
	case s.steps <- findStep{Send: &step}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-s.sent:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// sent continues a search when the connections were opened.
func (a *Agent) sent(ctx context.Context, o sentOrder) (findStep, error) {
	if a.search == nil {
		return findStep{}, errors.New("no search is under way")
	}
	var err error
	if o.Error != "" {
		err = errors.New(o.Error)
	}
	select {
	case a.search.sent <- err:
	case <-ctx.Done():
		return findStep{}, context.Cause(ctx)
	}
	return a.nextStep(ctx)
}

// nextStep returns the next order of a search or, at its end, what was found.
func (a *Agent) nextStep(context.Context) (findStep, error) {
	s := a.search
	if step, more := <-s.steps; more {
		return step, nil
	}
	a.search = nil
	s.cancel(nil)
	if s.failed != nil {
		return findStep{}, s.failed
	}
	if err := checkArms(s.found, a.arms, a.protocol); err != nil {
		return findStep{}, err
	}
	a.rules = &rules{found: s.found}
	var step findStep
	for _, f := range s.found.Found {
		step.Found = append(step.Found, FoundRule{
			Program: f.Rule.Program, Place: f.Rule.Place, Text: f.Rule.Text, DrawsPorts: f.Rule.DrawsPorts(), Clients: f.Clients,
		})
	}
	return step, nil
}

// stop ends a search, and waits until it has ended. There may be none.
func (s *search) stop() {
	if s == nil {
		return
	}
	s.cancel(errors.New("the run ends"))
	for range s.steps { // until it is closed
	}
}

// checkArms returns an error, before anything is changed, if one of the arms cannot be put
// in force.
func checkArms(found *effect.Rules, arms []scenario.Arm, protocol string) error {
	var all []snat.Options
	for _, arm := range arms {
		all = append(all, lab.RuleOptions(arm, protocol))
	}
	return found.Check(context.Background(), all...)
}

// listRules lists the rules of any program that translate source addresses, as text.
func listRules(ctx context.Context) (texts []string, err error) {
	all, _, err := effect.List(ctx)
	for _, r := range all {
		texts = append(texts, r.String())
	}
	return texts, err
}

var errNoRules = errors.New("the rules were not found yet")

// insertControl inserts the rules of the control, and returns their text.
func (a *Agent) insertControl(ctx context.Context, ports scenario.PortRange) (string, error) {
	if a.rules == nil {
		return "", errNoRules
	}
	of := snat.Connections{Server: a.rules.found.Server, UDP: a.protocol == result.UDP, Ports: snat.PortRange(ports)}
	var err error
	if a.rules.control, err = a.rules.found.InsertControl(ctx, a.journal, of); err != nil {
		return "", err
	}
	return a.rules.control.Text(), nil
}

// apply puts an arm in force, and returns the text of its rules.
func (a *Agent) apply(ctx context.Context, arm scenario.Arm) (string, error) {
	switch {
	case a.rules == nil:
		return "", errNoRules
	case a.rules.applied != nil:
		return "", errors.New("an arm is in force already")
	}
	applied, err := a.rules.found.Apply(ctx, a.journal, lab.RuleOptions(arm, a.protocol))
	if err != nil {
		return "", err
	}
	a.rules.applied = applied
	return applied.Text(), nil
}

// undoArm restores the rules as they are without an arm. There may be none in force.
func (a *Agent) undoArm(ctx context.Context, _ none) (none, error) {
	if a.rules == nil || a.rules.applied == nil {
		return none{}, nil
	}
	err := a.rules.applied.Undo(undo.Context(ctx))
	if err == nil {
		a.rules.applied = nil
	}
	return none{}, err
}

// readPackets reads the counters of the arm in force and of the control.
func (a *Agent) readPackets(ctx context.Context, _ none) (p packets, err error) {
	switch {
	case a.rules == nil:
		return p, errNoRules
	case a.rules.applied != nil:
		p.Own, p.Control, err = a.rules.applied.BothPackets(ctx)
	case a.rules.control != nil:
		p.Control, err = a.rules.control.Packets(ctx)
	default:
		err = errors.New("no arm is in force")
	}
	return p, err
}

// readOthers reads the counters of rules that may translate instead.
func (a *Agent) readOthers(ctx context.Context, _ none) (lab.RuleCounters, error) {
	if a.rules == nil || a.rules.applied == nil {
		return lab.RuleCounters{}, fmt.Errorf("counters of other rules: %w", errNoRules)
	}
	return a.rules.applied.ReadCounters(ctx), nil
}
