package matrix

import (
	"context"
	"encoding/json"

	"snatlab/harness/kernel"
	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

// GuestCommand is the argument of the program that is init in a guest: it is to
// call [RunGuest].
const GuestCommand = "guest"

// scenarioFile is the scenario in the initramfs of a guest.
const scenarioFile = "scenario.yaml"

// DefaultRequests is the most that a client of a guest sends in a trial, unless
// the user wants another number: emulation is slow, and so few requests hit the
// race dozens of times.
const DefaultRequests = 300

// AdaptToGuest makes a scenario what a guest can run: in namespaces, with nftables,
// which takes no program, and with no more than DefaultRequests. What a lab in
// namespaces cannot do is an error.
func AdaptToGuest(s *scenario.Scenario) error {
	if err := s.SetDriver(result.DriverNetns); err != nil {
		return err
	}
	s.NAT = result.NATNFTables
	s.Load.Requests = min(s.Load.Requests, DefaultRequests)
	return nil
}

// ScenarioRunner runs a scenario. What there is of a result goes with an error, too.
type ScenarioRunner func(context.Context, *scenario.Scenario, RunWatcher) (*result.Result, error)

// RunGuest is init in a guest: it runs the scenario that the initramfs holds, and
// ends the machine. It returns only where it is not init.
func RunGuest(run ScenarioRunner) error {
	return vm.RunInit(func(ctx context.Context, report func([]byte)) ([]byte, error) {
		watch := guestReporter(report)
		watch.Say("loading modules")
		if err := vm.PrepareGuest(); err != nil {
			return nil, err
		}
		s, err := scenario.Read("/" + scenarioFile)
		if err != nil {
			return nil, err
		}
		r, err := run(ctx, s, guestWatcher(watch))
		if err != nil {
			return nil, err
		}
		return json.Marshal(r)
	})
}

// bootGuest runs a scenario in a kernel, and says what ran the guest. Its result is
// input from outside.
func (x *Runner) bootGuest(ctx context.Context, k *kernel.Kernel, s *scenario.Scenario, watch RunWatcher) (r *result.Result, accel string, err error) {
	init := vm.Init{Args: []string{GuestCommand}, Env: hookVariables(), Files: map[string][]byte{scenarioFile: s.Canonical()}}
	o, err := x.Machine.Boot(ctx, k, init, func(report []byte) error { return relayProgress(report, watch) })
	if err != nil {
		return nil, o.Accel, err
	}
	r, err = decodeResult(o)
	return r, o.Accel, err
}

// decodeResult reads the result within the bounds of a file from outside.
func decodeResult(o vm.GuestOutput) (*result.Result, error) {
	r, err := resultfile.DecodeResult(o.Result)
	if err != nil {
		return nil, &vm.GuestError{Reason: "the guest's result: " + err.Error(), Console: o.Console}
	}
	return r, nil
}
