package labtest

import (
	"context"
	"testing"

	"snatlab/harness/scenario"
)

// checkService checks that requests to the address of a service are answered, in every arm
// and by the control, that they pass the rules of both as those to a server do, and that
// their entries are deleted.
func checkService(t *testing.T, d Driver, backends int) {
	l, err := d.OpenService(t.Context(), backends)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	env := l.Environment()
	if s := env.Service; s == nil || s.Address != env.Server || len(s.Backends) != backends {
		t.Errorf("the environment has the service %+v, and the server %s", s, env.Server)
	}
	if err := l.InsertControl(t.Context(), controlPorts); err != nil {
		t.Fatal(err)
	}
	var control uint64
	for trial, arm := range []scenario.Arm{{Name: "plain"}, {Name: "fully", Masquerade: scenario.MasqueradeOptions{RandomFully: true}}} {
		rule, err := l.Apply(t.Context(), arm)
		if err != nil {
			t.Fatal(err)
		}
		at, err := l.Listen(t.Context(), trial, trial == 1)
		if err != nil {
			t.Fatal(err)
		}
		before, err := rule.Packets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sendFrom(t, l, d.Protocol, at.Arm, scenario.PortRange{First: 40_000, Last: 40_019}, 20, 0)
		sendFrom(t, l, d.Protocol, at.Control, controlPorts, 10, 0)
		control += 10
		served, err := l.Finish(t.Context())
		if err != nil || served.Accepted != 20 || served.ControlAccepted != 10 {
			t.Errorf("%s: the server had %+v, %v", arm.Name, served, err)
		}
		if after, err := rule.Packets(t.Context()); err != nil || after-before != 20 {
			t.Errorf("%s: the rule matched %d packets, %v", arm.Name, after-before, err)
		}
		if n, err := l.ControlPackets(t.Context()); err != nil || n != control {
			t.Errorf("%s: the rule of the control matched %d packets, %v, want %d", arm.Name, n, err, control)
		}
		if err := rule.Undo(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
