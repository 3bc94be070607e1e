package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// host is this machine with its Docker engine.
type host struct{ docker *client.Client }

// needHost skips a test without root or an engine; with CI=true the test fails.
func needHost(t *testing.T) host {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root and a Docker engine; make check leaves it out")
	}
	miss := t.Skipf
	if os.Getenv("CI") == "true" {
		miss = t.Fatalf
	}
	if os.Geteuid() != 0 {
		miss("needs root")
	}
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err == nil {
		_, err = docker.Ping(t.Context())
	}
	if err != nil {
		miss("needs a Docker engine: %v", err)
	}
	t.Cleanup(func() { docker.Close() })
	labtest.TakeMachine(t)
	return host{docker}
}

// unchanged checks at the end of the test that the state of the host is the same as
// now.
func (h host) unchanged(t *testing.T) {
	t.Helper()
	before := h.state(t)
	t.Cleanup(func() {
		if diff := cmp.Diff(before, h.state(t)); diff != "" {
			t.Errorf("the host has changed (-before +after):\n%s", diff)
		}
	})
}

// counters matches the parts of iptables-save's output that change without a change
// of rules, and its comments.
var counters = regexp.MustCompile(`(?m)^#.*\n| \[\d+:\d+\]$`)

// state returns the state of the host, as far as a run touches it.
func (h host) state(t *testing.T) map[string][]string {
	t.Helper()
	s := hostState(t)
	ctx := t.Context()
	if ctx.Err() != nil { // in a cleanup
		ctx = cleanupContext(t)
	}
	containers, err := h.docker.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		s["containers"] = append(s["containers"], c.Names...)
	}
	networks, err := h.docker.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks {
		s["networks"] = append(s["networks"], n.Name)
	}
	slices.Sort(s["containers"])
	slices.Sort(s["networks"])
	return s
}

// hostState returns the state of this machine without Docker, as far as a run touches
// it.
func hostState(t *testing.T) map[string][]string {
	t.Helper()
	s := map[string][]string{
		"rules":     rulesOf(t, "iptables-save"),
		"IPv6":      rulesOf(t, "ip6tables-save"),
		"addresses": addresses(t),
		"routes":    routes(t),
		"sysctls":   sysctls(t),
	}
	if _, err := exec.LookPath("nft"); err == nil {
		s["nftables"] = rulesOf(t, "nft", "-s", "list", "ruleset")
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		s["links"] = append(s["links"], l.Name)
	}
	slices.Sort(s["links"])
	journals, err := undo.FindJournals(undo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	s["journals"] = append(s["journals"], journals...) // nil if there is none, with or without the folder
	for _, pattern := range []string{"/run/netns/*", undo.Dir + "/netns", undo.Dir + "/netns/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		s["namespaces"] = append(s["namespaces"], paths...)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "snatlab") {
			s["mounts"] = append(s["mounts"], line)
		}
	}
	return s
}

// rulesOf returns the rules of a firewall, without their counters.
func rulesOf(t *testing.T, program string, args ...string) []string {
	t.Helper()
	rules, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return strings.Split(counters.ReplaceAllString(string(rules), ""), "\n")
}

// addresses returns the addresses of all links.
func addresses(t *testing.T) (all []string) {
	t.Helper()
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	for range 9 { // a link that is removed meanwhile causes an error
		if err == nil {
			break
		}
		list, err = netlink.AddrList(nil, netlink.FAMILY_ALL)
	}
	must(t, err)
	for _, a := range list {
		if a.IP.IsLinkLocalUnicast() {
			continue // appears some time after its link is up, and ends with it
		}
		all = append(all, fmt.Sprintf("%v %s on %d", a.IPNet, a.Label, a.LinkIndex))
	}
	slices.Sort(all)
	return all
}

// routes returns the routes of all tables.
func routes(t *testing.T) (all []string) {
	t.Helper()
	every := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	list, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, every, netlink.RT_FILTER_TABLE)
	for range 9 {
		if err == nil {
			break
		}
		list, err = netlink.RouteListFiltered(netlink.FAMILY_ALL, every, netlink.RT_FILTER_TABLE)
	}
	must(t, err)
	for _, r := range list {
		if r.Dst != nil && (r.Dst.IP.IsLinkLocalUnicast() || r.Dst.IP.IsMulticast()) {
			continue // like a link-local address
		}
		all = append(all, fmt.Sprintf("%v by %v on %d from %v, table %d, type %d, scope %v", r.Dst, r.Gw, r.LinkIndex, r.Src, r.Table, r.Type, r.Scope))
	}
	slices.Sort(all)
	return all
}

// sysctls returns all sysctls of the network that do not change by themselves.
func sysctls(t *testing.T) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == "nf_conntrack_count" {
			return nil // a link may be removed meanwhile
		}
		if value, err := os.ReadFile(path); err == nil { // some cannot be read
			all = append(all, path+" = "+strings.TrimSpace(string(value)))
		}
		return nil
	}))
	return all
}

// scenarioFile writes a scenario to a file and returns its path.
func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// slow is a scenario with trials of 5 s, so that a test can act in the middle of
// one.
const slow = `
name: slow
load: {rate: 600, requests: 1200}
rounds: 8
until: {rounds_max: 8}
arms: [{name: random-fully, masquerade: {random_fully: true}}]
`

// process is a run of the binary in the background.
type process struct {
	*exec.Cmd
	out string // folder of the result
	end chan error
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	if args[0] != "run" {
		return startCommand(t, exec.Command(binary, args...))
	}
	out := filepath.Join(t.TempDir(), "out")
	p := startCommand(t, exec.Command(binary, append(args, "--out", out)...))
	p.out = out
	return p
}

func startCommand(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: c, end: make(chan error, 1)}
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	p.Stderr = said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.end <- p.Wait() }()
	t.Cleanup(func() { p.Process.Kill() }) // no effect on a process that has ended
	return p
}

// said returns the standard error of the process so far.
func (p *process) said(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.Stderr.(*os.File).Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// await waits until a condition holds. The run must reach it by itself.
func (p *process) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1200 {
		if holds() {
			return
		}
		select {
		case err := <-p.end:
			t.Fatalf("ended before %s: %v\n%s", what, err, p.said(t))
		case <-time.After(25 * time.Millisecond):
		}
	}
	t.Fatalf("no %s within 30 s", what)
}

// wait waits for the end of the process and returns its exit code; the negative number
// of a signal that ended it.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.end:
		var exited *exec.ExitError
		if !errors.As(err, &exited) && err != nil {
			t.Fatal(err)
		}
		status := p.ProcessState.Sys().(interface{ Signal() unix.Signal })
		if p.ProcessState.ExitCode() < 0 {
			return -int(status.Signal())
		}
		return p.ProcessState.ExitCode()
	case <-time.After(2 * time.Minute):
		t.Fatalf("%v does not end", p.Args)
		return 0
	}
}

func (p *process) result(t *testing.T) *result.Result {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.out, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(result.Result)
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// underWay matches a rewritten rule that connections have passed.
var underWay = regexp.MustCompile(`(?m)^(-A POSTROUTING .*-o snat-\S+)(?: -m comment --comment snatlab-\S+)? -c [1-9]\d* \d+ (-j MASQUERADE --random-fully)$`)

// rewritten waits until a trial with --random-fully is in progress, and returns the
// text of its rule.
func (p *process) rewritten(t *testing.T) (rule string) {
	t.Helper()
	p.await(t, "a trial with --random-fully", func() bool {
		rules, _ := exec.Command("iptables", "-t", "nat", "-v", "-S", "POSTROUTING").Output()
		found := underWay.FindSubmatch(rules)
		if found != nil {
			rule = string(found[1]) + " " + string(found[2])
		}
		return found != nil
	})
	return rule
}

// client returns the id of a client's container.
func (h host) client(t *testing.T, index int) string {
	t.Helper()
	list, err := h.docker.ContainerList(t.Context(), container.ListOptions{
		Filters: filters.NewArgs(filters.Arg("label", "snatlab.run"), filters.Arg("name", fmt.Sprintf("client-%d", index)))})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d containers of client %d: %v", len(list), index, err)
	}
	return list[0].ID
}
