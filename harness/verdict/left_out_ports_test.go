package verdict

import (
	"slices"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// withRange returns an arm with a range of ports, and with the ports of its clients.
func withRange(a result.Arm, to, clients result.Ports) result.Arm {
	a.ToPorts, a.ClientPorts = &to, &clients
	return a
}

func TestWarnLeftOutPorts(t *testing.T) {
	t.Parallel()
	usual := result.Ports{First: 32768, Last: 34767}
	none := repeatTrial(8, 0)
	const others = "; clients whose ports lie in the range are not helped"
	random := withRange(armOf("a", none...), result.Ports{First: 49152, Last: 65535}, usual)
	random.Options = &result.RuleOptions{RandomFully: true}
	split := withRange(armOf("a", none...), result.Ports{First: 49152, Last: 65535}, usual)
	split.SettingValues = []result.Setting{{Part: result.PartClients, Key: result.KeySourcePorts, Value: result.SplitPorts}}
	for _, tc := range []struct {
		claim string
		arm   result.Arm
		want  string
	}{
		{"a range that leaves all of them out", withRange(armOf("a", none...), result.Ports{First: 49152, Last: 65535}, usual),
			"a: to_ports 49152-65535 leaves out the clients' ports 32768-34767: NAT draws another port for those connections, and that stops the race" + others},
		{"a range that leaves the lower ones out", withRange(armOf("a", none...), result.Ports{First: 33000, Last: 65535}, usual),
			"a: to_ports 33000-65535 leaves out the clients' ports 32768-32999 of 32768-34767: NAT draws another port for those connections, and that stops the race" + others},
		{"a range that leaves both ends out", withRange(armOf("a", none...), result.Ports{First: 33000, Last: 33999}, usual),
			"a: to_ports 33000-33999 leaves out the clients' ports 32768-32999 and 34000-34767 of 32768-34767: NAT draws another port for those connections, and that stops the race" + others},
		{"a range that stops nothing", withRange(armOf("a", lossyTrials...), result.Ports{First: 1024, Last: 32767}, usual),
			"a: to_ports 1024-32767 leaves out the clients' ports 32768-34767: NAT draws another port for those connections" + others},
		{"a range that holds all of them", withRange(armOf("a", lossyTrials...), usual, usual), ""},
		{"a rule that draws every port", random, ""},
		{"clients with ports of their own", split, ""},
		{"a result without the ports", armOf("a", none...), ""},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			r := runOf(8, armOf("masquerade", lossyTrials...), tc.arm)
			judgeAndDescribe(r)
			i := slices.IndexFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "to_ports") })
			switch {
			case i < 0 && tc.want != "":
				t.Errorf("no warning in %q", r.Warnings)
			case i >= 0 && r.Warnings[i] != tc.want:
				t.Errorf("got  %s\nwant %s", r.Warnings[i], tc.want)
			}
		})
	}
}

func TestNoRaceLeftOut(t *testing.T) {
	t.Parallel()
	t.Run("a baseline whose range leaves the clients' ports out", func(t *testing.T) {
		r := runOf(8, withRange(armOf("plain", repeatTrial(8, 0)...), result.Ports{First: 49152, Last: 65535}, result.Ports{First: 32768, Last: 34767}))
		judgeAndDescribe(r)
		const want = "not triggered: the rule of plain draws another port for the clients' ports 32768-34767, which are not in its range 49152-65535 (make an arm without to_ports the first)"
		if !slices.Contains(r.Warnings, want) {
			t.Errorf("warnings %q, want %q", r.Warnings, want)
		}
	})
}
