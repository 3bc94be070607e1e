package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"snatlab/harness"
	"snatlab/harness/kernel/matrix"
	"snatlab/harness/lab"
	"snatlab/harness/lab/docker"
	"snatlab/harness/lab/netns"
	"snatlab/harness/machine"
	"snatlab/harness/nat"
	"snatlab/harness/nat/effect"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// driverNames are the names of all drivers. The one with the fewest needs comes first.
var driverNames = []string{result.DriverNetns, result.DriverDocker, result.DriverKubernetes}

// driverChoice lists the drivers in the help of a flag.
var driverChoice = strings.Join(driverNames[:len(driverNames)-1], ", ") + " or " + driverNames[len(driverNames)-1]

// unknownDriver returns the error for a driver that this program cannot run.
func unknownDriver(name string) error {
	return fmt.Errorf("driver %q: this program cannot run it; it has %s", name, strings.Join(driverNames, ", "))
}

// readyMachine is this machine, prepared for one run.
type readyMachine struct {
	open  func(ctx context.Context, run string, keep bool, say func(string)) (lab.Keeper, error)
	close func() error
}

// prepareMachine checks whether this machine can run the scenario, and locks what a
// run needs alone. It changes nothing but what an earlier run left.
func prepareMachine(ctx context.Context, s *scenario.Scenario, at clusterFlags) (*readyMachine, error) {
	if s.Lab.ConntrackMax > 0 {
		return nil, machine.RequireMet([]machine.Precondition{{Name: "guest", State: machine.Unmet,
			Found:  "lab.conntrack_max is set, and the conntrack table's size is that of this whole machine",
			Remedy: "run the scenario in a guest: snatlab matrix SCENARIO --kernel running"}})
	}
	switch s.Driver {
	case result.DriverNetns:
		return prepareNetns(ctx, s)
	case result.DriverDocker:
		return prepareDocker(ctx, s)
	case result.DriverKubernetes:
		return prepareKubernetes(ctx, s, at)
	}
	return nil, unknownDriver(s.Driver)
}

// prepareNetns locks nothing: labs of this driver do not affect each other.
func prepareNetns(ctx context.Context, s *scenario.Scenario) (*readyMachine, error) {
	found := netns.Preflight(ctx, s.NAT, s.Lab.Family, s.MaxConnections())
	if err := machine.RequireMet(found); err != nil {
		return nil, err
	}
	// After Preflight, which loads modules: modules bring sysctls.
	if err := machine.RequireMet([]machine.Precondition{machine.CheckSysctls(s)}); err != nil {
		return nil, err
	}
	return &readyMachine{
		open: func(ctx context.Context, run string, _ bool, say func(string)) (lab.Keeper, error) {
			return netns.Open(ctx, netns.Config{Run: run, Clients: s.Clients, Family: s.Lab.Family, Protocol: s.Load.Protocol, NAT: s.NAT, Control: s.HasControl(), Accept: s.Server.AcceptSourcePorts, Backends: s.DNAT.Backends, Widen: idleRules(s), Say: say})
		},
		close: func() error { return nil },
	}, nil
}

func prepareDocker(ctx context.Context, s *scenario.Scenario) (_ *readyMachine, err error) {
	host, found := docker.Preflight(ctx, "", s.Lab.Family, s.MaxConnections())
	release := host.Close
	defer func() {
		if err != nil {
			err = errors.Join(err, release())
		}
	}()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := machine.RequireMet(found); err != nil {
		return nil, err
	}
	if err := machine.RequireMet([]machine.Precondition{machine.CheckSysctls(s)}); err != nil {
		return nil, err
	}
	lock, err := undo.TakeLock(undo.Dir, "run of "+s.Name)
	if err != nil {
		return nil, err
	}
	release = func() error { return errors.Join(lock.Release(), host.Close()) }
	if err := undoCrashed(ctx); err != nil {
		return nil, err
	}
	return &readyMachine{
		open: func(ctx context.Context, run string, keep bool, say func(string)) (lab.Keeper, error) {
			journal, err := undo.CreateJournal(undo.Dir, run, allUndoers())
			if err != nil {
				return nil, err
			}
			return docker.Open(ctx, host, docker.Config{
				Run: run, Clients: s.Clients, Network: s.Network, Protocol: s.Load.Protocol, Trials: s.MostTrials(), Control: s.HasControl(), Arms: s.Arms, Server: s.Server.Address,
				Accept: s.Server.AcceptSourcePorts, Backends: s.DNAT.Backends, Widen: idleRules(s), Keep: keep, Journal: journal, Say: say,
			})
		},
		close: release,
	}, nil
}

// idleRules returns the idle rules of a scenario's lab.
func idleRules(s *scenario.Scenario) lab.IdleRules {
	return lab.IdleRules{Number: s.Lab.PostroutingRules, Required: s.RequiresRules()}
}

// runScenario runs the scenario for a command, in a lab that is closed at the end. The
// result is never nil.
func (m *readyMachine) runScenario(ctx context.Context, s *scenario.Scenario, watch matrix.RunWatcher, command string) (*result.Result, error) {
	id := resultfile.NewRunID(time.Now())
	return harness.Run(ctx, s, func(ctx context.Context) (lab.Lab, error) {
		return m.open(ctx, id, false, watch.Say)
	}, watch, harness.RunOptions{ID: id, Version: version, Command: command})
}

// allUndoers returns what undoes every change that snatlab makes.
func allUndoers() undo.Undoers {
	all := undo.Undoers{}
	for _, some := range []undo.Undoers{nat.Undoers(), effect.Undoers(), lab.Undoers(), docker.Undoers(), netns.Undoers()} {
		maps.Copy(all, some)
	}
	return all
}

// keptLab is a lab that may be left standing when its run is over. The run does not
// close it.
type keptLab struct {
	lab.Keeper
}

// Close does nothing: finish closes or keeps the lab.
func (k *keptLab) Close(context.Context) error { return nil }

// closeLab closes the lab, if it was opened.
func (k *keptLab) closeLab(ctx context.Context) error {
	if k.Keeper == nil {
		return nil
	}
	return k.Keeper.Close(undo.Context(ctx))
}

// finish keeps the lab, or closes it if the run was interrupted: then everything must
// be as it was.
func (k *keptLab) finish(ctx context.Context) (*lab.Kept, error) {
	if k.Keeper == nil || ctx.Err() != nil {
		return nil, k.closeLab(ctx)
	}
	kept, err := k.Keep(ctx)
	if err != nil {
		err = fmt.Errorf("keep the lab: %w", err)
	}
	if kept == nil {
		err = errors.Join(err, k.closeLab(ctx))
	}
	return kept, err
}
