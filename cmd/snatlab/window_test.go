package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"snatlab/harness/format"
	"snatlab/harness/result"
)

// The suite "window" measures how often two clients meet in the window of the race. Its
// tests print shares of pairs lost: of the slots under plain masquerade, that is those
// of the control and those of the baseline, the share in which one of the two clients
// lost its connection to the race.

// meeting is a short run with a number of idle rules.
const meeting = `
name: meeting
driver: netns
lab: {postrouting_rules: %d}
load: {requests: 500}
rounds: 5
until: {rounds_max: 5}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`

var quickstart = filepath.Join("..", "..", "scenarios", "quickstart.yaml")

// Idle rules between NAT and the insertion of an entry make the window wider. This
// prints the table that the default of lab.postrouting_rules was chosen by: at rest,
// and with one client that is slowed down and released again.
func TestWindow(t *testing.T) {
	needSuite(t, windowSuite)
	needNamespaces(t)
	numbers := []int{0, 100, 200, 500, 1000}
	for pass := range 3 {
		for _, slowed := range []bool{false, true} {
			for _, rules := range numbers { // interleaved: the machine changes its speed
				p := start(t, "run", scenarioFile(t, fmt.Sprintf(meeting, rules)))
				times := 0
				if slowed {
					times = p.disturb(t, p.clientProcess(t))
				}
				p.awaitEnd()
				if code := p.wait(t); code != exitPass && code != exitInconclusive {
					t.Fatalf("exit code %d\n%s", code, p.said(t))
				}
				lost := sharesLost(p.result(t))
				t.Logf("pass %d, %4d idle rules, slowed %d times: median %s, lowest %s (%s)",
					pass+1, rules, times, format.Percent(median(lost)), format.Percent(slices.Min(lost)), listShares(lost))
			}
		}
	}
}

// One client is slowed down from outside and released again, several times in a run of
// 8 rounds: the phase lock follows, and no trial is without its hits.
func TestSlowedClient(t *testing.T) {
	needSuite(t, windowSuite)
	const leastMedian, leastTrial = 0.40, 0.05
	check := func(t *testing.T, p *process, pid int) {
		times := p.disturb(t, pid)
		code := p.wait(t)
		if code != exitPass {
			t.Errorf("exit code %d\n%s", code, p.said(t))
		}
		lost := sharesLost(p.result(t))
		t.Logf("slowed %d times; share of pairs lost in each trial: %s; median %s, lowest %s",
			times, listShares(lost), format.Percent(median(lost)), format.Percent(slices.Min(lost)))
		if median(lost) < leastMedian || slices.Min(lost) < leastTrial {
			t.Errorf("want a median of at least %s, and no trial below %s", format.Percent(leastMedian), format.Percent(leastTrial))
		}
	}
	t.Run("netns", func(t *testing.T) {
		needNamespaces(t)
		p := start(t, "run", quickstart, "--rounds", "8")
		check(t, p, p.clientProcess(t))
	})
	t.Run("docker", func(t *testing.T) {
		h := needHost(t)
		h.unchanged(t)
		p := start(t, "run", quickstart, "--rounds", "8", "--driver", result.DriverDocker)
		check(t, p, h.clientProcess(t, p))
	})
}

// clientProcess returns the process of a client of a run in network namespaces, as soon
// as there is one.
func (p *process) clientProcess(t *testing.T) (pid int) {
	t.Helper()
	p.await(t, "a client", func() bool {
		clients, err := listProbes(p.Process.Pid, "client")
		must(t, err)
		if len(clients) == 0 {
			return false
		}
		pid = clients[0]
		return true
	})
	return pid
}

// listProbes lists the children of a process that are probes with a role.
func listProbes(parent int, role string) (pids []int, err error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		children, _ := os.ReadFile(path) // a thread may end meanwhile
		for _, field := range strings.Fields(string(children)) {
			line, _ := os.ReadFile(filepath.Join("/proc", field, "cmdline"))
			if !bytes.HasSuffix(line, []byte("\x00probe\x00"+role+"\x00")) {
				continue
			}
			pid, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// clientProcess returns the process of a client of a run on Docker, as soon as there is
// one.
func (h host) clientProcess(t *testing.T, p *process) (pid int) {
	t.Helper()
	ours := filters.NewArgs(filters.Arg("label", "snatlab.run"), filters.Arg("name", "client-1"))
	p.await(t, "a client", func() bool {
		list, err := h.docker.ContainerList(t.Context(), container.ListOptions{Filters: ours})
		if err != nil || len(list) != 1 {
			return false
		}
		c, err := h.docker.ContainerInspect(t.Context(), list[0].ID)
		if err != nil || c.ContainerJSONBase == nil || c.State == nil {
			return false
		}
		pid = c.State.Pid // 0 until it runs
		return pid != 0
	})
	return pid
}

// slowRules rules cost a packet about 10 µs, several times the width of the window.
// slowTime is a few trials long.
const (
	slowRules = 800
	slowTime  = 400 * time.Millisecond
)

// awaitEnd waits for the end of a run that may take as long as a busy machine needs.
func (p *process) awaitEnd() {
	for len(p.end) == 0 {
		time.Sleep(50 * time.Millisecond)
	}
}

// disturb slows a client of a run down and releases it, in turns, until the run has
// ended. It returns how often it did so.
func (p *process) disturb(t *testing.T, pid int) (times int) {
	t.Helper()
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid)) // stays until it is closed, whatever the process does
	must(t, err)
	defer space.Close()
	for len(p.end) == 0 {
		slowDown(t, space)
		time.Sleep(slowTime)
		release(t, space)
		times++
		time.Sleep(slowTime)
	}
	return times
}

func slowTable() *nftables.Table {
	return &nftables.Table{Name: "slow", Family: nftables.TableFamilyIPv4}
}

// slowDown puts rules that match no packet into the output hook of a network namespace:
// `ip daddr 203.0.113.N counter drop`.
func slowDown(t *testing.T, space *os.File) {
	t.Helper()
	table := slowTable()
	chain := &nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter}
	changeRules(t, space, func(c *nftables.Conn) { c.AddTable(table); c.AddChain(chain) })
	const together = 50 // a socket has no room for the answers to more
	for first := 0; first < slowRules; first += together {
		changeRules(t, space, func(c *nftables.Conn) {
			for n := range together {
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
					&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
					&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{203, 0, 113, byte(first + n)}},
					&expr.Counter{},
					&expr.Verdict{Kind: expr.VerdictDrop},
				}})
			}
		})
	}
}

// release removes what slowDown made.
func release(t *testing.T, space *os.File) {
	t.Helper()
	changeRules(t, space, func(c *nftables.Conn) { c.DelTable(slowTable()) })
}

// changeRules makes one change to the rules of a network namespace.
func changeRules(t *testing.T, space *os.File, change func(*nftables.Conn)) {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(space.Fd())))
	must(t, err)
	change(c)
	must(t, c.Flush())
}

// sharesLost returns the share of pairs lost of each trial, in the order of arms and
// rounds.
func sharesLost(r *result.Result) (lost []float64) {
	for i, arm := range r.Arms {
		for _, trial := range arm.Trials {
			hits, requests := 0, 0
			if c := trial.Control; c != nil {
				hits, requests = c.Causes[result.SNATRace], c.Requests
			}
			if i == 0 {
				hits, requests = hits+trial.Causes[result.SNATRace], requests+trial.Requests
			}
			lost = append(lost, 2*float64(hits)/float64(max(1, requests)))
		}
	}
	return lost
}

// median returns the median of at least one figure.
func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// listShares prints shares in whole percent.
func listShares(shares []float64) string {
	var all []string
	for _, s := range shares {
		all = append(all, strconv.Itoa(int(100*s+0.5)))
	}
	return strings.Join(all, " ") + " %"
}
