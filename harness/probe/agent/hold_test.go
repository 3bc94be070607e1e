package agent

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// countTimeWait returns the number of connections in TIME_WAIT with this port at the
// server's side, of both ends.
func countTimeWait(t *testing.T, port uint16) (client, server int) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	end := ":" + strings.ToUpper(strconv.FormatUint(uint64(port)|1<<16, 16)[1:])
	for _, line := range strings.Split(string(table), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "06" {
			continue
		}
		if strings.HasSuffix(fields[1], end) {
			server++
		}
		if strings.HasSuffix(fields[2], end) {
			client++
		}
	}
	return client, server
}

// Connections stay open for as long as the load says, and TIME_WAIT is where the one is
// who closed first.
func TestHold(t *testing.T) {
	for _, test := range []struct {
		close          string
		hold           time.Duration
		client, server bool // TIME_WAIT is left there
	}{
		{"", 100 * time.Millisecond, false, false},
		{result.CloseReset, 100 * time.Millisecond, false, false},
		{result.CloseFIN, 100 * time.Millisecond, true, false},
		{result.CloseFINServer, 100 * time.Millisecond, false, true},
		{result.CloseFIN, 0, true, false},
		{result.CloseFINServer, 0, false, true},
	} {
		t.Run(test.close+" "+test.hold.String(), func(t *testing.T) {
			s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Guests: localGuests}))
			if err != nil {
				t.Fatal(err)
			}
			port := freePort(t)
			if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: port, Hold: test.hold, Close: test.close}); err != nil {
				t.Fatal(err)
			}
			load := probe.ClientLoad{Server: netip.AddrPortFrom(localGuests[0].Addr(), port), Requests: 100, Timeout: time.Second, Concurrency: 10,
				Hold: test.hold, Close: test.close}
			begun := time.Now()
			report, err := startClient(t, "client 0").Run(t.Context(), load)
			if err != nil || report.Succeeded != 100 {
				t.Fatalf("%+v, %v", report, err)
			}
			if report.MostOpen < 1 || report.MostOpen > 10 {
				t.Errorf("%d connections open at one time", report.MostOpen)
			}
			// Ten at a time, of which the last ten are reset.
			if took := time.Since(begun); took < 9*test.hold {
				t.Errorf("took %v", took)
			}
			served, err := s.Finish(t.Context())
			if err != nil || served.Accepted != 100 {
				t.Errorf("served %+v, %v", served, err)
			}
			client, server := countTimeWait(t, port)
			if client > 0 != test.client || server > 0 != test.server || client+server > 100 {
				t.Errorf("%d connections in TIME_WAIT at the client, %d at the server", client, server)
			}
		})
	}
}
