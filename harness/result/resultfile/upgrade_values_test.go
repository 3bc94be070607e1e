package resultfile

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
	"snatlab/harness/wording"
)

func TestReadOptions(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]result.RuleOptions{
		"-A POSTROUTING -s 198.18.0.0/24 ! -o br-1 -j MASQUERADE --random-fully":      {RandomFully: true},
		"-A POSTROUTING -j MASQUERADE --to-ports 1-9 --random":                        {Random: true},
		`oifname != "br" counter masquerade fully-random,persistent`:                  {RandomFully: true},
		"ip saddr 198.18.0.0/24 counter masquerade random":                            {Random: true},
		"-A POSTROUTING ! -o br-random -m comment --comment not-random -j MASQUERADE": {},
		"": {},
	} {
		if got := readOptions(rule); *got != want {
			t.Errorf("%s: got %+v, want %+v", rule, *got, want)
		}
	}
}

// The sentence of a setting has the value that it was made of.
func TestReadSetting(t *testing.T) {
	t.Parallel()
	for _, want := range []result.Setting{
		{Part: result.PartRouter, Key: "net.netfilter.nf_conntrack_max", Value: "4096"},
		{Part: result.PartServer, Key: "net.ipv4.tcp_mem", Value: "1 2 3"},
		{Part: result.PartClients, Key: result.KeySourcePorts, Value: result.SplitPorts},
		{Part: result.PartClients, Key: result.KeySourcePorts, Value: "40000-40015"},
		{Part: result.PartRouter, Key: result.KeyAddress, Value: "198.19.200.1 dev server"},
	} {
		text := wording.DescribeSettings([]result.Setting{want})[0]
		if got := readSetting(text); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
	for text, want := range map[string]result.Setting{"odd": {Value: "odd"}, "router: odd": {Part: "router", Value: "odd"}} {
		if got := readSetting(text); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

// A warning of an earlier version is about the arm that its sentence begins with.
func TestAddWarningValues(t *testing.T) {
	t.Parallel()
	r := &result.Result{
		Arms: []result.Arm{{Name: "masquerade"}, {Name: "random"}, {Name: "random-fully"}},
		Warnings: []string{
			"the machine was busy", "random: its trials are odd", "random-fully, round 1: 4 of 4 failures are unexplained",
			"random, round 2: of its failures", "randomly: odd",
		},
	}
	upgrade(r)
	want := []result.Warning{{}, {Arm: "random"}, {Arm: "random-fully"}, {Arm: "random"}, {}}
	if diff := cmp.Diff(want, r.WarningValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("values that are there stay", func(t *testing.T) {
		r := &result.Result{Warnings: []string{"a: odd"}, WarningValues: []result.Warning{{Code: result.BusyMachine}}, Arms: []result.Arm{{Name: "a"}}}
		upgrade(r)
		if r.WarningValues[0].Code != result.BusyMachine {
			t.Errorf("got %+v", r.WarningValues)
		}
	})
}
