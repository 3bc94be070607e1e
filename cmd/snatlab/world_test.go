package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab/labtest"
	"snatlab/harness/result"
)

// In these tests others stop, rewrite or remove parts of the host that a run uses. The
// run either notices that, or is not affected. It never reports wrong figures, and
// leaves nothing behind.

// These match the masquerade rule in the middle of a trial, as Docker wrote it and
// rewritten: fewer packets of the path check alone pass the rule.
var (
	asDockerWroteIt = regexp.MustCompile(`(?m)^(-A POSTROUTING .*-o snat-\S+) -c [1-9]\d{2,} \d+ (-j MASQUERADE)$`)
	asRewritten     = regexp.MustCompile(`(?m)^(-A POSTROUTING .*-o snat-\S+)(?: -m comment --comment snatlab-\S+)? -c [1-9]\d{2,} \d+ (-j MASQUERADE --random-fully)$`)
)

// brokeOff checks that a run ended with exit code 3 and printed these texts.
func (p *process) brokeOff(t *testing.T, wants ...string) {
	t.Helper()
	if code := p.wait(t); code != exitUnable {
		t.Errorf("exit code %d", code)
	}
	for _, want := range wants {
		if !strings.Contains(p.said(t), want) {
			t.Errorf("says\n%s\nwant %q", p.said(t), want)
		}
	}
}

// An engine that stops and starts again ends the run. Without the suite these are two of
// the ways, others each time.
func TestEngineRestarts(t *testing.T) {
	labtest.TakeMachine(t)
	tested := 0
	for name, c := range map[string]struct {
		config string
		signal unix.Signal
		atOnce bool // it may have started again before the run asks it
	}{
		"restarted": {"{}", unix.SIGTERM, false},
		"crashed":   {"{}", unix.SIGKILL, false},
		"restarted, and its containers keep running":         {`{"live-restore": true}`, unix.SIGTERM, false},
		"restarted at once":                                  {"{}", unix.SIGTERM, true},
		"crashed, and started at once":                       {"{}", unix.SIGKILL, true},
		"restarted at once, and its containers keep running": {`{"live-restore": true}`, unix.SIGTERM, true},
	} {
		if tested++; tested > 2 && !inSuite(crashSuite) {
			break
		}
		t.Run(name, func(t *testing.T) {
			e := startOwnEngine(t, c.config)
			e.unchanged(t)
			p := e.start(t, "run", scenarioFile(t, random))
			e.passed(t, p, asRewritten)
			e.stopDaemon(t, c.signal)
			if !c.atOnce {
				p.await(t, "that the run waits", func() bool { return strings.Contains(p.said(t), "waiting for it to come back") })
			}
			e.startDaemon(t)
			p.brokeOff(t, "snatlab: warm-up: ", goneEngine, "): was it stopped, or restarted?")
			if said := e.cleanup(t); said != "nothing to undo\n" {
				t.Errorf("cleanup: %s", said)
			}
		})
	}
}

const goneEngine = " died: its stream ended; the Docker engine at "

// plain and random are scenarios with trials of 2 s, so that a test can act in the
// middle of one.
const (
	plain = `
name: plain
load: {requests: 1200, rate: 600}
arms: [{name: masquerade}]
`
	random = `
name: random
load: {requests: 1200, rate: 600}
arms: [{name: random-fully, masquerade: {random_fully: true}}]
`
)

// Rules that others add and remove above the lab's rule do not disturb the run.
func TestForeignRulesAbove(t *testing.T) {
	e := ownEngine(t)
	e.unchanged(t)
	p := e.start(t, "run", scenarioFile(t, `
name: lively
load: {requests: 400, rate: 800}
rounds: 3
until: {rounds_max: 3}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`), "--force")
	e.passed(t, p, asDockerWroteIt)
	for len(p.end) == 0 { // while rules are rewritten and restored, others change
		for _, change := range []string{"-I POSTROUTING 1 -s 203.0.113.0/24 -j RETURN", "-I POSTROUTING 1 -s 198.51.100.0/24 -j ACCEPT",
			"-D POSTROUTING -s 203.0.113.0/24 -j RETURN", "-D POSTROUTING -s 198.51.100.0/24 -j ACCEPT"} {
			e.iptables(t, "-t nat "+change)
		}
	}
	if code := p.wait(t); code != exitPass && code != exitInconclusive {
		t.Errorf("exit code %d\n%s", code, p.said(t))
	}
	n := 0
	for _, arm := range p.result(t).Arms {
		for _, trial := range arm.Trials {
			n++
			if matchedBesides(t, trial) != 0 || trial.Requests != 800 || trial.Causes[result.Unexplained] != 0 {
				t.Errorf("%s, round %d: %+v", arm.Name, trial.Round, trial)
			}
		}
	}
	if n != 6 {
		t.Errorf("%d trials", n)
	}
}

// A rule of others that matches the lab's connections ends the run.
func TestForeignRulesMatch(t *testing.T) {
	needSuite(t, crashSuite)
	e := ownEngine(t)
	const takes = "-s 198.18.0.0/15 -j "
	for name, c := range map[string]struct {
		scenario string
		rule     *regexp.Regexp
		change   func(t *testing.T) // done while connections pass the rule
		back     func(t *testing.T)
		want     string
	}{
		"a rule above ours that masquerades as well": {plain, asDockerWroteIt,
			func(t *testing.T) { e.iptables(t, "-t nat -I POSTROUTING "+takes+"MASQUERADE") },
			func(t *testing.T) { e.iptables(t, "-t nat -D POSTROUTING "+takes+"MASQUERADE") },
			`-j MASQUERADE" matched `},
		"a rule above ours that lets them through as they are": {random, asRewritten,
			func(t *testing.T) { e.iptables(t, "-t nat -I POSTROUTING "+takes+"ACCEPT") },
			func(t *testing.T) { e.iptables(t, "-t nat -D POSTROUTING "+takes+"ACCEPT") },
			`-j MASQUERADE --random-fully" matched `},
		"a rule above ours that takes the control's": {random, asRewritten,
			func(t *testing.T) {
				e.iptables(t, "-t nat -I POSTROUTING -p tcp --sport 40000:60999 "+takes+"MASQUERADE")
			},
			func(t *testing.T) {
				e.iptables(t, "-t nat -D POSTROUTING -p tcp --sport 40000:60999 "+takes+"MASQUERADE")
			},
			`instead rule 1 of POSTROUTING (nft), "-A POSTROUTING -s 198.18.0.0/15 -p tcp -m tcp --sport 40000:60999 -j MASQUERADE", matched `},
		"a missing rule of the control": {random, asRewritten, e.removeControl, nothing,
			`the rule of the control "-A POSTROUTING -s 198.18.`},
		"a firewall that drops them": {random, asRewritten,
			func(t *testing.T) { e.iptables(t, "-I DOCKER-USER "+takes+"DROP") },
			func(t *testing.T) { e.iptables(t, "-D DOCKER-USER "+takes+"DROP") },
			`-j MASQUERADE --random-fully" matched `},
		"a flush of DOCKER-USER": {plain, asDockerWroteIt,
			func(t *testing.T) { e.iptables(t, "-F DOCKER-USER") },
			func(t *testing.T) { e.iptables(t, "-A DOCKER-USER -j RETURN") },
			`-j MASQUERADE" matched `},
		"a reload of the firewall under the rule as it was": {plain, asDockerWroteIt, e.reload, nothing,
			`-j MASQUERADE" `}, // it matched fewer, or was written again: depends on the moment
		"a reload of the firewall under a rewritten rule": {random, asRewritten, e.reload, nothing,
			`--random-fully" is gone from POSTROUTING: something else rewrote the rules`},
		"a flush, and nothing after it": {random, asRewritten,
			func(t *testing.T) { e.iptables(t, "-t nat -F POSTROUTING") },
			func(t *testing.T) { e.iptables(t, "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE") },
			`--random-fully" is gone from POSTROUTING`},
	} {
		t.Run(name, func(t *testing.T) {
			before := e.state(t)
			p := e.start(t, "run", scenarioFile(t, c.scenario))
			e.passed(t, p, c.rule)
			c.change(t)
			p.brokeOff(t, "snatlab: ", c.want)
			c.back(t)
			e.same(t, before)
		})
	}
}

func nothing(*testing.T) {}

// removeControl removes the rule of the control.
func (e *engine) removeControl(t *testing.T) {
	t.Helper()
	for rule := range strings.Lines(e.do(t, "iptables", "-t", "nat", "-S", "POSTROUTING")) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(rule), "-A "); ok && ourControl.MatchString(rule) {
			e.iptables(t, "-t nat -D "+rest)
		}
	}
}

func (e *engine) iptables(t *testing.T, args string) {
	t.Helper()
	e.do(t, "iptables", strings.Fields(args)...)
}

// reload does the same as Docker after a reload of firewalld: all rules are removed
// for a moment, and then Docker writes its own rules again in their usual form.
func (e *engine) reload(t *testing.T) {
	t.Helper()
	rules := strings.Split(e.do(t, "iptables", "-t", "nat", "-S", "POSTROUTING"), "\n")
	e.iptables(t, "-t nat -F POSTROUTING")
	for _, rule := range slices.Backward(rules) {
		if strings.HasPrefix(rule, "-A ") && !ourControl.MatchString(rule) {
			rule = ourMark.ReplaceAllString(strings.TrimSuffix(rule, " --random-fully"), "")
			e.iptables(t, "-t nat "+strings.Replace(rule, "-A ", "-I ", 1))
		}
	}
}

// ourMark matches the comment of a rule that a run has rewritten.
var ourMark = regexp.MustCompile(` -m comment --comment snatlab-\S+`)

// ourControl matches the rule of a control.
var ourControl = regexp.MustCompile(` --sport \d+:\d+` + ourMark.String())

// A part of the lab that is removed in the middle of a trial ends the run.
func TestPartsRemoved(t *testing.T) {
	needSuite(t, crashSuite)
	e := ownEngine(t)
	disconnect := func(t *testing.T, network, part string) {
		must(t, e.NetworkDisconnect(t.Context(), e.part(t, network), e.part(t, part), true))
	}
	reconnect := func(t *testing.T, network, part string) {
		must(t, e.NetworkConnect(t.Context(), e.part(t, network), e.part(t, part), nil))
	}
	for name, c := range map[string]struct {
		take func(t *testing.T)
		want []string
	}{
		"a client": {
			func(t *testing.T) { e.remove(t, e.part(t, "client-1")) },
			[]string{"client 1 died: its stream ended; somebody removed its container"},
		},
		"the server": {
			func(t *testing.T) { e.remove(t, e.part(t, "server")) },
			[]string{"server died: its stream ended; somebody removed its container"},
		},
		"all containers": {
			func(t *testing.T) {
				names := []string{e.part(t, "client-0"), e.part(t, "client-1"), e.part(t, "server")}
				for _, name := range names {
					e.remove(t, name)
				}
			},
			[]string{" died: its stream ended; somebody removed its container"},
		},
		"a client from its network": {
			func(t *testing.T) { disconnect(t, "clients", "client-1") },
			[]string{"container snatlab-", "-client-1 was taken off network snatlab-", "-clients: somebody disconnected it"},
		},
		"a client from its network, for a moment": {
			func(t *testing.T) { disconnect(t, "clients", "client-1"); reconnect(t, "clients", "client-1") },
			[]string{"container snatlab-", "-client-1 was taken off network snatlab-", "-clients: somebody disconnected it"},
		},
		"the server from its network": {
			func(t *testing.T) { disconnect(t, "server", "server") },
			[]string{"container snatlab-", "-server was taken off network snatlab-", "-server: somebody disconnected it"},
		},
		"the clients' network": {
			func(t *testing.T) {
				disconnect(t, "clients", "client-0")
				disconnect(t, "clients", "client-1")
				must(t, e.NetworkRemove(t.Context(), e.part(t, "clients")))
			},
			[]string{"-client-0 was taken off network snatlab-", "-clients: somebody disconnected it, or removed the network", "-client-1 was taken off"},
		},
		"the server's network": {
			func(t *testing.T) {
				disconnect(t, "server", "server")
				must(t, e.NetworkRemove(t.Context(), strings.Replace(e.part(t, "client-0"), "client-0", "server", 1)))
			},
			[]string{"-server was taken off network snatlab-", "-server: somebody disconnected it, or removed the network"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e.unchanged(t)
			p := e.start(t, "run", scenarioFile(t, plain))
			e.passed(t, p, asDockerWroteIt)
			c.take(t)
			p.brokeOff(t, append(c.want, "snatlab: warm-up: ")...) // the first trial of a lab
		})
	}
}

func (e *engine) remove(t *testing.T, name string) {
	t.Helper()
	err := e.ContainerRemove(t.Context(), name, container.RemoveOptions{Force: true})
	if err != nil && !cerrdefs.IsConflict(err) && !cerrdefs.IsNotFound(err) { // the run may be removing it as well
		t.Fatal(err)
	}
}

// A part of the lab that no longer answers ends the run after a timeout. Two of
// these tests wait at a time.
func TestPartsHang(t *testing.T) {
	labtest.TakeMachine(t)
	for name, hangs := range map[string]func(t *testing.T, e *engine, p *process){
		"a client that is stopped": func(t *testing.T, e *engine, p *process) {
			must(t, e.ContainerKill(t.Context(), e.part(t, "client-1"), "STOP"))
			p.brokeOff(t, "client 1: no answer within 21s (stopped, or hung?)")
		},
		"a client that is paused": func(t *testing.T, e *engine, p *process) {
			must(t, e.ContainerPause(t.Context(), e.part(t, "client-1")))
			p.brokeOff(t, "client 1: no answer within 21s (stopped, or hung?)", "-client-1 is paused: another user or program paused it")
		},
		"a server that is stopped": func(t *testing.T, e *engine, p *process) {
			must(t, e.ContainerKill(t.Context(), e.part(t, "server"), "STOP"))
			p.brokeOff(t, "server: no answer within 20s (stopped, or hung?)")
		},
		"an engine that stays away": func(t *testing.T, e *engine, p *process) {
			e.stopDaemon(t, unix.SIGTERM)
			if code := p.wait(t); code != exitLeft {
				t.Errorf("exit code %d", code)
			}
			for _, want := range []string{goneEngine, "5 changes to this host could not be undone", "docker rm -f snatlab-", "docker network rm snatlab-"} {
				if !strings.Contains(p.said(t), want) {
					t.Errorf("says\n%s\nwant %q", p.said(t), want)
				}
			}
			if rules := e.do(t, "iptables-save"); strings.Contains(rules, "--random-fully") || strings.Contains(rules, "-A DOCKER-USER -i snat-") {
				t.Errorf("rules can be undone without the engine:\n%s", rules)
			}
			e.startDaemon(t)
			if said := e.cleanup(t); strings.Count(said, "undoing: ") != 5 {
				t.Errorf("cleanup: %s", said)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startOwnEngine(t, "{}")
			e.unchanged(t)
			// In lockstep the other client would report a missing partner.
			p := e.start(t, "run", scenarioFile(t, `
name: small
load: {pattern: ephemeral, requests: 100, rate: 100}
arms: [{name: random-fully, masquerade: {random_fully: true}}]
`))
			e.passed(t, p, underWay)
			hangs(t, e, p)
		})
	}
}

// A client in lockstep reports that its partner hangs.
func TestLockstepClientHangs(t *testing.T) {
	e := ownEngine(t)
	e.unchanged(t)
	p := e.start(t, "run", scenarioFile(t, random))
	e.passed(t, p, asRewritten)
	must(t, e.ContainerKill(t.Context(), e.part(t, "client-1"), "STOP"))
	p.brokeOff(t, "snatlab: warm-up: ", "client 0: ", "client 1 ")
}

// A measured result is printed if it cannot be written.
func TestOutFull(t *testing.T) {
	e := ownEngine(t)
	e.unchanged(t)
	out := e.mount(t, "size=256k")
	p := e.start(t, "run", scenarioFile(t, "name: full\nrounds: 1\nuntil: {rounds_max: 1}\nload: {requests: 1200, rate: 600}\narms: [{name: masquerade}]\n"), "--out", out)
	e.passed(t, p, asDockerWroteIt)
	e.fill(t, out)
	p.brokeOff(t, "snatlab: write "+out+"/result.json: ", "no space left on device",
		"the result could not be written to its folder; it is printed to standard output as JSON")
	r := new(result.Result)
	if err := json.Unmarshal(p.printed(t), r); err != nil {
		t.Fatalf("%v in:\n%s", err, p.printed(t))
	}
	if countTrials(r) != 1 || r.Incomplete != "" || r.Verdict != result.Inconclusive && r.Verdict != result.Pass {
		t.Errorf("the result has %d trials, incomplete %q, verdict %s", countTrials(r), r.Incomplete, r.Verdict)
	}
	if left := strings.Fields(e.do(t, "ls", "-A", out)); !slices.Equal(left, []string{"filling"}) {
		t.Errorf("left in the folder: %v", left)
	}
}

// A folder that cannot hold the result is reported before the run.
func TestOutRefused(t *testing.T) {
	e := ownEngine(t)
	readOnly, full := e.mount(t, "size=256k,ro"), e.mount(t, "size=256k")
	e.fill(t, full)
	for _, c := range []struct{ out, want string }{
		{readOnly, "read-only file system"},
		{readOnly + "/new", "read-only file system"},
		{full, "no space left on device"},
		{full + "/new", "no space left on device"},
		{"/dev/null", "not a directory"},
		{"/dev/null/new", "not a directory"},
	} {
		e.unchanged(t)
		p := e.start(t, "run", scenarioFile(t, plain), "--out", c.out)
		p.brokeOff(t, "snatlab: make room for the result: ", c.want)
		if strings.Contains(p.said(t), "making the networks") {
			t.Errorf("%s: the run went on\n%s", c.out, p.said(t))
		}
	}
	if left := e.do(t, "find", full, "-mindepth", "1"); left != full+"/filling\n" {
		t.Errorf("left in the folder: %s", left)
	}
}

// mount mounts a file system in memory, which is visible only in the namespaces.
func (e *engine) mount(t *testing.T, options string) (path string) {
	t.Helper()
	path = t.TempDir()
	e.do(t, "mount", "-t", "tmpfs", "-o", options, "tmpfs", path)
	return path
}

// fill fills a file system completely.
func (e *engine) fill(t *testing.T, path string) {
	t.Helper()
	full := e.inside("dd", "if=/dev/zero", "of="+path+"/filling", "bs=4k")
	if out, err := full.CombinedOutput(); err == nil || !strings.Contains(string(out), "No space left on device") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// A conntrack table that is nearly full is reported before the run. The entries
// are real, in a table of the test's own namespaces.
func TestConntrackFull(t *testing.T) {
	e := ownEngine(t)
	e.unchanged(t)
	most, err := strconv.Atoi(strings.TrimSpace(e.do(t, "cat", "/proc/sys/net/netfilter/nf_conntrack_max")))
	must(t, err)
	if most > 1<<20 {
		t.Skipf("filling a table of %d entries takes too long", most)
	}
	e.track(t, most*95/100+100)
	p := e.start(t, "run", scenarioFile(t, random))
	found := regexp.MustCompile(fmt.Sprintf(`snatlab: conntrack: \d+ of %d entries in use, a trial wants room for 4800 more, the last %d are left to others `+
		`\(fewer requests, or a larger net.netfilter.nf_conntrack_max\)\n`, most, most/20))
	if p.brokeOff(t); !found.MatchString(p.said(t)) {
		t.Errorf("says %q, want %s", p.said(t), found)
	}
	doctor := e.start(t, "doctor", "--driver", "docker")
	found = regexp.MustCompile(fmt.Sprintf(`(?m)^missing  conntrack +\d+ of %d entries in use, the last %d are left to others$`, most, most/20))
	if doctor.brokeOff(t); !found.Match(doctor.printed(t)) {
		t.Errorf("doctor prints\n%s\nwant %s", doctor.printed(t), found)
	}
}

// track adds entries to the conntrack table of the namespaces.
func (e *engine) track(t *testing.T, entries int) {
	t.Helper()
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", e.first.Process.Pid))
	must(t, err)
	defer space.Close()
	conn, err := conntrack.Dial(&netlink.Config{NetNS: int(space.Fd())})
	must(t, err)
	defer conn.Close()
	from, to := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("198.51.100.1")
	for i := range entries {
		f := conntrack.NewFlow(unix.IPPROTO_TCP, conntrack.StatusConfirmed, from, to, uint16(1024+i%60_000), uint16(1+i/60_000), 600, 0)
		f.ProtoInfo.TCP = &conntrack.ProtoInfoTCP{State: 3}
		must(t, conn.Create(f))
	}
}

// countTrials returns the number of finished trials.
func countTrials(r *result.Result) int { return len(result.TrialsByRound(r.Arms)) }
