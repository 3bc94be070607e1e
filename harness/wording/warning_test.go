package wording

import (
	"testing"

	"snatlab/harness/result"
)

func TestControlWarnings(t *testing.T) {
	t.Parallel()
	r := &result.Result{Arms: []result.Arm{{Name: "masquerade"}}}
	for want, w := range map[string]result.Warning{
		"the trials have no control, which would show whether they could have lost a connection: the requests take 1,000 of the clients' 1,010 source ports (send fewer, or widen net.ipv4.ip_local_port_range of the clients)": {Code: result.NoControl, Count: 1010, Of: 1000},
		"masquerade: 1 of 8 trials says nothing: neither the arm nor its control lost a connection to the race":                                                                                                                 {Code: result.NoHits, Arm: "masquerade", Count: 1, Of: 8},
		"not triggered: no trial's control, which is plain masquerade, was hit either: the clients' packets did not meet in NAT (the phase lock searched in 1 turn, with delays from 0 to 40.3 µs)":                             {Code: result.NoRaceControl, Count: 1, DelayHigh: 40_300},
	} {
		if got := describeWarning(r, w); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
