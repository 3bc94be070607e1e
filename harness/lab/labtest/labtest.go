// Package labtest is the conformance suite of the drivers: one table of claims, which
// is tested against labs with real traffic.
package labtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/conntrack"
	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/scenario/network"
)

// Driver is a driver under test.
type Driver struct {
	Protocol string // of the loads
	Family   string // of the addresses: result.IPv4 or result.IPv6

	// Open builds a lab with a control, and reports what it does as the driver does.
	Open func(ctx context.Context, clients int, say func(string)) (lab.Lab, error)
	// OpenFiltered builds a lab with a control and one client, whose server accepts these
	// source ports alone.
	OpenFiltered func(ctx context.Context, accept scenario.PortRange) (lab.Lab, error)
	// OpenService builds a lab with a control and one client, whose server is reached by a
	// service address with so many backends.
	OpenService func(ctx context.Context, backends int) (lab.Lab, error)
	// Kill ends the process of a client by force.
	Kill func(t *testing.T, l lab.Lab, client int)
	// RemoveControl removes the rule of the control, as another program would.
	RemoveControl func(t *testing.T, l lab.Lab)
	// NoParts is the text of the error with which rules for parts of the connections are refused; empty:
	// they are not.
	NoParts string
	// Killed is a part of the reason why a killed client ended.
	Killed string
	// Traces lists everything that a lab makes on this machine, one line each.
	Traces func(t *testing.T) []string
}

// clients is the number of clients of the labs.
const clients = 3

// CheckDriver tests a driver against the claims.
func CheckDriver(t *testing.T, d Driver) {
	before := d.Traces(t)
	t.Run("a lab", func(t *testing.T) {
		l := d.openLab(t)
		if got := len(l.Clients()); got != clients {
			t.Fatalf("%d clients, want %d", got, clients)
		}
		s := &labSuite{Driver: d, Lab: l}
		for _, claim := range []struct {
			name string
			hold func(*testing.T, *labSuite)
		}{
			{"sends each connection through the masquerade rule, once", checkRuleMatches},
			{"has counters that move by what was lost, and by nothing else", checkRaceCounters},
			{"applies an arm and undoes it", checkArms},
			{"uses the source ports of an arm", checkPortChoice},
			{"has clients with the ports of ordinary clients", checkClientPorts},
			{"translates to the addresses of an arm", checkTranslation},
			{"gives each client a block of ports", checkBlocks},
			{"translates to several ranges of ports", checkRanges},
			{"sets sysctls of its clients and its server", checkSysctls},
			{"deletes the entries of its own connections", checkForget},
			{"sends the connections of a control through a rule of its own, in every arm", checkControl},
			{"gives every trial a port of its own", checkServerPorts},
			{"reports the machine and the lab", checkEnvironment},
			{"reports that the rule of the control was removed", checkControlGone},
			{"reports how a client died, and goes on with the others", checkDeath},
		} {
			t.Run(claim.name, func(t *testing.T) { claim.hold(t, s) })
		}
		s.applyRule(t, scenario.MasqueradeOptions{RandomFully: true}) // and never undone
		for range 2 {
			if err := l.Close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
			checkSame(t, before, d.Traces(t))
		}
	})
	t.Run("a server drops and counts what comes from other source ports than it accepts", func(t *testing.T) {
		checkFilter(t, d)
		checkSame(t, before, d.Traces(t))
	})
	for _, backends := range []int{1, 3} {
		t.Run(fmt.Sprintf("a service translates each connection to one of %d backends", backends), func(t *testing.T) {
			checkService(t, d, backends)
			checkSame(t, before, d.Traces(t))
		})
	}
	t.Run("an interruption at any step leaves nothing", func(t *testing.T) { checkInterruption(t, d, before) })
}

// sources returns two addresses that a lab may add to itself.
func (d Driver) sources() []netip.Addr {
	first := network.Example(d.Family)
	return []netip.Addr{first, first.Next()}
}

// labSuite is a lab under test.
type labSuite struct {
	Driver
	lab.Lab
	trials  int
	control netip.AddrPort   // of the last trial
	sent    int              // requests of each client to the control so far
	seen    probe.PortCounts // source ports that the server saw in the last trial
}

// controlPorts are the source ports of the control. The kernel chooses none of them.
var controlPorts = scenario.PortRange{First: 10_000, Last: 19_999}

// openLab builds a lab, which is closed when the test ends.
func (d Driver) openLab(t *testing.T) lab.Lab {
	t.Helper()
	l, err := d.Open(t.Context(), clients, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	if !l.HasControl() {
		t.Fatal("the lab cannot have a control")
	}
	if err := l.InsertControl(t.Context(), controlPorts); err != nil {
		t.Fatal(err)
	}
	return l
}

func checkSame(t *testing.T, before, after []string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
}

// listenNext opens the ports of the next trial, which in every second one have each
// other's roles. It returns that of the arm.
func (s *labSuite) listenNext(t *testing.T) netip.AddrPort {
	t.Helper()
	at, err := s.Listen(t.Context(), s.trials, s.trials%2 == 1)
	if err != nil {
		t.Fatal(err)
	}
	s.trials++
	s.control = at.Control
	return at.Arm
}

// sendRequests sends requests from each client, one client after the other, and returns
// their source ports.
func (s *labSuite) sendRequests(t *testing.T, requests int) (server netip.AddrPort, ports [][]scenario.PortRange) {
	t.Helper()
	server = s.listenNext(t)
	for _, c := range s.Clients() {
		report, err := c.Run(t.Context(), probe.ClientLoad{Protocol: s.Protocol, Server: server, Requests: requests, Timeout: 900 * time.Millisecond, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		if report.Succeeded != requests {
			t.Errorf("%s: %+v", c.Name, report)
		}
		ports = append(ports, report.Ports)
	}
	served, err := s.Finish(t.Context())
	s.seen = served.Ports
	if want := uint64(requests * len(s.Clients())); err != nil || served.Accepted != want {
		t.Errorf("of %d requests the server saw %+v, %v", want, served, err)
	}
	return server, ports
}

// countPorts returns the number of connections that left from different ports.
func countPorts(ports [][]scenario.PortRange) (n int) {
	for _, p := range ports {
		n += probe.CountPorts(p)
	}
	return n
}

func (s *labSuite) forgetEntries(t *testing.T, server netip.AddrPort, ports [][]scenario.PortRange) {
	t.Helper()
	if err := s.Forget(t.Context(), server, ports); err != nil {
		t.Fatal(err)
	}
}

func (s *labSuite) applyRule(t *testing.T, m scenario.MasqueradeOptions) lab.ArmRule {
	t.Helper()
	rule, err := s.Apply(t.Context(), scenario.Arm{Masquerade: m})
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func readPackets(t *testing.T, rule lab.ArmRule) uint64 {
	t.Helper()
	n, err := rule.Packets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func checkRuleMatches(t *testing.T, s *labSuite) {
	const requests = 20
	rule := s.applyRule(t, scenario.MasqueradeOptions{})
	before := readPackets(t, rule)
	server, ports := s.sendRequests(t, requests)
	// A client may be given a port twice, and the entry of the first connection is there
	// still when it sends the second datagram.
	if got, want := readPackets(t, rule)-before, uint64(countPorts(ports)); got != want {
		t.Errorf("the rule %q matched %d packets of %d connections", rule.Rule(), got, want)
	}
	s.forgetEntries(t, server, ports)
}

// checkRaceCounters checks that the kernel and the clients count the same. Whether the
// race occurs is chance.
func checkRaceCounters(t *testing.T, s *labSuite) {
	const requests = 300
	server := s.listenNext(t)
	before, err := s.Conntrack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reports := s.runLockstep(t, server, requests)
	after, err := s.Conntrack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved, err := conntrack.Delta(before, after)
	if err != nil {
		t.Fatal(err)
	}
	failed, timeouts := 0, 0
	var ports [][]scenario.PortRange
	for _, r := range reports {
		failed, timeouts = failed+r.Requests-r.Succeeded, timeouts+r.Failures[result.Timeout]
		ports = append(ports, r.Ports)
	}
	if n := uint64(failed); failed != timeouts || moved.InsertFailed != n || moved.Drop != n {
		t.Errorf("of %d requests %d failed, %d by timeout; the kernel counted insert_failed %d, drop %d",
			clients*requests, failed, timeouts, moved.InsertFailed, moved.Drop)
	}
	s.forgetEntries(t, server, ports)
}

// lockstepPorts are the source ports of clients in lockstep.
var lockstepPorts = scenario.PortRange{First: 3000, Last: 5999}

// runLockstep sends a load, with all clients in the same slots.
func (s *labSuite) runLockstep(t *testing.T, server netip.AddrPort, requests int) []*probe.Report {
	t.Helper()
	cpus := clients
	for _, c := range s.Clients() {
		cpus = min(cpus, len(c.Hello.CPUs))
		if err := c.Share(t.Context(), s.Barrier()); err != nil {
			t.Fatalf("%s cannot meet the others: %v", c.Name, err)
		}
	}
	reports, errs := make([]*probe.Report, clients), make(chan error)
	for i, c := range s.Clients() {
		go func() {
			var err error
			reports[i], err = c.Run(t.Context(), probe.ClientLoad{
				Protocol: s.Protocol, Server: server, Requests: requests, Timeout: 500 * time.Millisecond,
				Lockstep: &probe.LockstepPart{Client: i, Clients: clients, CPUs: cpus, Ports: lockstepPorts, Barrier: s.Barrier(), Epoch: uint64(s.trials)},
			})
			errs <- err
		}()
	}
	for range s.Clients() {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	return reports
}

func checkForget(t *testing.T, s *labSuite) {
	server, ports := s.sendRequests(t, 5)
	other, others := s.sendRequests(t, 1)
	if got, want := s.countEntries(t, server, ports), countPorts(ports); got != want {
		t.Errorf("%d entries of %d connections", got, want)
	}
	for range 2 { // the second time there is nothing to delete
		s.forgetEntries(t, server, ports)
		if got := s.countEntries(t, server, ports); got != 0 {
			t.Errorf("%d entries are left", got)
		}
	}
	if got := s.countEntries(t, other, others); got != clients {
		t.Errorf("of %d connections to another port %d entries are left", clients, got)
	}
	s.forgetEntries(t, other, others)
}

// countEntries counts the entries of connections to a server, and checks that these
// connections have ended.
func (s *labSuite) countEntries(t *testing.T, server netip.AddrPort, ports [][]scenario.PortRange) (n int) {
	t.Helper()
	clients, err := s.Entries(t.Context(), server, ports)
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]string{result.TCP: "CLOSE", result.UDP: result.EntryReplied}[s.Protocol]
	for i, ports := range clients {
		for port, state := range ports {
			if state != ended {
				t.Errorf("client %d, port %d: the entry's state is %s", i, port, state)
			}
			n++
		}
	}
	return n
}

func checkServerPorts(t *testing.T, s *labSuite) {
	var seen []netip.AddrPort
	var common netip.AddrPort
	for i := range 4 {
		for _, swapped := range []bool{false, true} {
			at, err := s.Listen(t.Context(), s.trials, swapped)
			if err != nil {
				t.Fatal(err)
			}
			own, control := at.Arm, at.Control
			if swapped {
				own, control = control, own
			}
			if i == 0 && !swapped {
				common = control
			}
			if control != common || own == common || !swapped && slices.Contains(seen, own) {
				t.Errorf("trial %d, swapped %v: %+v; the port of all trials is %v", s.trials, swapped, at, common)
			}
			seen = append(seen, own)
			if _, err := s.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.trials++
	}
}

func checkEnvironment(t *testing.T, s *labSuite) {
	env := s.Environment()
	subnet, err := netip.ParsePrefix(env.ClientNetwork)
	if err != nil || !network.Labs(s.Family).Contains(subnet.Addr()) {
		t.Errorf("client network %q, %v", env.ClientNetwork, err)
	}
	if server, err := netip.ParseAddr(env.Server); err != nil || subnet.Contains(server) {
		t.Errorf("server %q, %v: it must be reached through the rule", env.Server, err)
	}
	if env.Kernel == "" || env.CPUs < 1 || env.Driver == "" || env.NAT == "" || env.ConntrackMax == nil {
		t.Errorf("unknown facts: %+v", env)
	}
}

func checkDeath(t *testing.T, s *labSuite) {
	const victim = 1
	s.Kill(t, s.Lab, victim)
	server := s.listenNext(t)
	for i, c := range s.Clients() {
		report, err := c.Run(t.Context(), probe.ClientLoad{Protocol: s.Protocol, Server: server, Requests: 1, Timeout: 900 * time.Millisecond, Concurrency: 1})
		switch {
		case i == victim && (err == nil || !strings.HasPrefix(err.Error(), "client 1 died: ") || !strings.Contains(err.Error(), s.Killed)):
			t.Errorf("of the client that was killed: %+v, %v; want its end, and %q", report, err, s.Killed)
		case i != victim && (err != nil || report.Succeeded != 1):
			t.Errorf("%s: %+v, %v", c.Name, report, err)
		}
	}
	if _, err := s.Finish(t.Context()); err != nil {
		t.Error(err)
	}
}

// checkInterruption cancels the building of a lab at each step that it reports.
func checkInterruption(t *testing.T, d Driver, before []string) {
	interrupted := errors.New("interrupted")
	for at := 0; ; at++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		said := 0
		l, err := d.Open(ctx, clients, func(string) {
			if said == at {
				cancel(interrupted)
			}
			said++
		})
		cancel(nil)
		if said <= at { // this time it was not interrupted
			if err == nil {
				err = l.Close(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
		if err == nil {
			t.Errorf("the lab was opened all the same, interrupted at step %d", at)
		}
		checkSame(t, before, d.Traces(t))
	}
}
