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

// GuestCommand is the argument with which this program must call [RunGuest]. It is the
// argument of init in a guest.
const GuestCommand = "guest"

// scenarioFile is the path of the scenario in the initramfs.
const scenarioFile = "scenario.yaml"

// DefaultRequests is the most requests of a client in the first trials, unless the user
// wants another number. Emulation is slow, and later trials are larger if that takes too
// many of them.
const DefaultRequests = 300

// AdaptToGuest changes a scenario to one that a guest can run: in namespaces, with
// nftables, which requires no program, and with at most DefaultRequests. A scenario
// that requires another driver is an error.
func AdaptToGuest(s *scenario.Scenario) error {
	if err := s.SetDriver(result.DriverNetns); err != nil {
		return err
	}
	s.NAT = result.NATNFTables
	s.Load.Requests = min(s.Load.Requests, DefaultRequests)
	return nil
}

// RunFunc runs a scenario. With an error it may return an incomplete result.
type RunFunc func(context.Context, *scenario.Scenario, RunWatcher) (*result.Result, error)

// RunGuest runs as init in a guest: it runs the scenario in the initramfs and ends the
// machine. It returns an error if this process is not init.
func RunGuest(run RunFunc) error {
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

// bootGuest runs a scenario in a guest. It returns the result and the accelerator of
// the guest.
func (x *KernelTester) bootGuest(ctx context.Context, k *kernel.Kernel, s *scenario.Scenario, watch RunWatcher) (r *result.Result, accel string, err error) {
	init := vm.Init{Args: []string{GuestCommand}, Env: hookVariables(), Files: map[string][]byte{scenarioFile: s.Canonical()}}
	o, err := x.Machine.Boot(ctx, k, init, func(report []byte) error { return relayProgress(report, watch) })
	if err != nil {
		return nil, o.Accel, err
	}
	r, err = decodeResult(o)
	return r, o.Accel, err
}

// decodeResult decodes the result of a guest, within the bounds of a file from outside.
func decodeResult(o vm.GuestOutput) (*result.Result, error) {
	r, err := resultfile.DecodeResult(o.Result)
	if err != nil {
		return nil, &vm.GuestError{Reason: "the guest's result: " + err.Error(), Console: o.Console}
	}
	return r, nil
}
