package agent

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// countTimeWait returns the number of connections in TIME_WAIT between a server and ports of
// clients, at the end of each. A line that the kernel lists twice counts once: the table
// changes while it is read.
func countTimeWait(t *testing.T, server netip.AddrPort, clients []scenario.PortRange) (atClient, atServer int) {
	t.Helper()
	file := "/proc/net/tcp"
	if server.Addr().Is6() {
		file = "/proc/net/tcp6"
	}
	table, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	isClient := func(port uint16) bool {
		return slices.ContainsFunc(clients, func(r scenario.PortRange) bool { return r.First <= port && port <= r.Last })
	}
	ends := [2]map[uint16]bool{{}, {}} // ports of clients
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "06" {
			continue
		}
		switch local, remote := readPort(t, fields[1]), readPort(t, fields[2]); {
		case remote == server.Port() && isClient(local):
			ends[0][local] = true
		case local == server.Port() && isClient(remote):
			ends[1][remote] = true
		}
	}
	return len(ends[0]), len(ends[1])
}

// readPort returns the port of an address in that file, like 0100007F:1F90.
func readPort(t *testing.T, address string) uint16 {
	t.Helper()
	_, text, _ := strings.Cut(address, ":")
	port, err := strconv.ParseUint(text, 16, 16)
	if err != nil {
		t.Fatalf("%s: %v", address, err)
	}
	return uint16(port)
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
		for family, at := range loopbacks {
			t.Run(strings.TrimSpace(test.close+" "+test.hold.String())+", "+family, func(t *testing.T) {
				client, server := countHeld(t, at, test.close, test.hold)
				if client > 0 != test.client || server > 0 != test.server || client+server > 100 {
					t.Errorf("%d connections in TIME_WAIT at the client, %d at the server", client, server)
				}
			})
		}
	}
}

// countHeld makes 100 connections, ten at a time, which stay open for a while. It returns
// how many are in TIME_WAIT afterwards.
func countHeld(t *testing.T, at netip.Addr, closes string, hold time.Duration) (client, server int) {
	s, err := probe.OpenServer(t.Context(), startAgent(t, "server", Agent{Role: probe.RoleServer, Guests: localGuests}))
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(at, freePort(t))
	if err := s.Listen(t.Context(), probe.Listen{Protocol: result.TCP, Port: address.Port(), IPv6: at.Is6(), Hold: hold, Close: closes}); err != nil {
		t.Fatal(err)
	}
	load := probe.ClientLoad{Server: address, Requests: 100, Timeout: time.Second, Concurrency: 10, Hold: hold, Close: closes}
	begun := time.Now()
	report, err := startClient(t, "client 0").Run(t.Context(), load)
	if err != nil || report.Succeeded != 100 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report.MostOpen < 1 || report.MostOpen > 10 {
		t.Errorf("%d connections open at one time", report.MostOpen)
	}
	// Ten at a time, of which the last ten are reset.
	if took := time.Since(begun); took < 9*hold {
		t.Errorf("took %v", took)
	}
	served, err := s.Finish(t.Context())
	if err != nil || served.Accepted != 100 {
		t.Errorf("served %+v, %v", served, err)
	}
	return countTimeWait(t, address, report.Ports)
}
