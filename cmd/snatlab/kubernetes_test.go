package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"gopkg.in/yaml.v3"

	"snatlab/harness/lab/labtest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// podLab is the cluster of the tests, and the state of its first node before them.
type podLab struct {
	*testing.T
	*labtest.Cluster
	dir    string
	before string
}

// requireNodes returns the cluster, with the image of this program on its nodes.
func requireNodes(t *testing.T) *podLab {
	t.Helper()
	c := labtest.RequireCluster(t)
	c.LoadImage(t, binary)
	p := &podLab{T: t, Cluster: c, dir: t.TempDir()}
	p.before = p.rules()
	t.Cleanup(func() {
		if out, err := p.command("cleanup", "--driver", result.DriverKubernetes).CombinedOutput(); err != nil {
			t.Errorf("cleanup: %v: %s", err, out)
		}
	})
	return p
}

// with returns the same for a subtest.
func (p *podLab) with(t *testing.T) *podLab {
	of := *p
	of.T = t
	return &of
}

// command returns a command of the program with access to the cluster.
func (p *podLab) command(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "KUBECONFIG="+p.Kubeconfig)
	return c
}

var (
	saveCounters = regexp.MustCompile(`\[\d+:\d+\]`)
	saveTimes    = regexp.MustCompile(`(?m)^#.*\n`)
)

// rules returns the rules of the first node that translate, without counters. Others are
// not compared: the firewall plugin of the CNI leaves chains behind after the first Pod.
func (p *podLab) rules() string {
	p.Helper()
	all := saveTimes.ReplaceAllString(p.Exec(p.T, "node1", "iptables-save", "--table", "nat"), "")
	return saveCounters.ReplaceAllString(all, "") + p.Exec(p.T, "node1", "nft", "list", "tables")
}

// checkRestored waits until the rules of the node are what they were. The rules of a Pod go
// with it, a moment after it.
func (p *podLab) checkRestored() {
	p.Helper()
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		diff := cmp.Diff(strings.Split(p.before, "\n"), strings.Split(p.rules(), "\n"))
		if diff == "" {
			return
		}
		if time.Since(begun) > 30*time.Second {
			p.Fatalf("the rules of the node are not what they were (-before +after):\n%s", diff)
		}
	}
}

// checkOwnRulesGone waits until no rule of a run is on the node.
func (p *podLab) checkOwnRulesGone() {
	p.Helper()
	for begun := time.Now(); strings.Contains(p.rules(), "snatlab"); time.Sleep(200 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			p.Fatalf("after 30 s the node has:\n%s", p.rules())
		}
	}
}

// checkNoObjects checks that no object of a run is left.
func (p *podLab) checkNoObjects() {
	p.Helper()
	if left := p.Kubectl(p.T, "get", "pods,services,namespaces", "--all-namespaces", "--selector=snatlab.run", "--output=name"); left != "" {
		p.Errorf("left: %s", left)
	}
}

// endless is a run that a test ends.
type endless struct {
	*exec.Cmd
	output *strings.Builder
}

// startEndless starts a run, and waits until an arm is in force.
func (p *podLab) startEndless(name string) *endless {
	p.Helper()
	scenario := filepath.Join(p.dir, name+".yaml")
	must(p.T, os.WriteFile(scenario, []byte("name: "+name+"\ndriver: kubernetes\nrounds: 500\nuntil: {rounds_max: 500}\nload: {requests: 300}\narms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]\n"), 0o600))
	e := &endless{p.command("run", scenario, "--out", name), &strings.Builder{}}
	e.Stdout, e.Stderr = e.output, e.output
	must(p.T, e.Start())
	p.Cleanup(func() { _ = e.Process.Kill() })
	for begun := time.Now(); !strings.Contains(p.rules(), "_arm_"); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			_ = e.Process.Kill()
			_ = e.Wait()
			p.Fatalf("no arm was in force:\n%s", e.output)
		}
	}
	return e
}

// namespace returns the namespace of the run that is active.
func (p *podLab) namespace() string {
	p.Helper()
	return strings.TrimPrefix(strings.TrimSpace(p.Kubectl(p.T, "get", "namespaces", "--selector=snatlab.run", "--output=name")), "namespace/")
}

// A run in a cluster counts each request once, finds the rules of the CNI plugin, and
// leaves nothing. Whether it hits the race is chance, so it may be repeated.
func TestKubernetesRun(t *testing.T) {
	p := requireNodes(t)
	for attempt := 1; ; attempt++ {
		out := fmt.Sprintf("run-%d", attempt)
		c := p.command("run", "kubernetes-masquerade", "--out", out)
		text, err := c.CombinedOutput()
		if c.ProcessState.ExitCode() == exitInconclusive && attempt < 3 {
			continue
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		r, err := resultfile.ReadResult(filepath.Join(p.dir, out))
		must(t, err)
		checkPodRun(t, r)
		break
	}
	p.checkRestored()
	p.checkNoObjects()
}

// throughService is a scenario whose clients connect to a Service.
const throughService = `
name: pods-service
driver: kubernetes
rounds: 2
until: {rounds_max: 2}
dnat: {backends: 1}
load: {requests: 300}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`

// Connections to the ClusterIP of a Service reach the server and pass the rules that were
// found, each of them once. The Service goes with the run.
func TestKubernetesService(t *testing.T) {
	p := requireNodes(t)
	scenario := filepath.Join(p.dir, "service.yaml")
	must(t, os.WriteFile(scenario, []byte(throughService), 0o600))
	c := p.command("run", scenario, "--out", "service", "--force", "--no-store")
	if text, err := c.CombinedOutput(); err != nil && c.ProcessState.ExitCode() != exitInconclusive {
		t.Fatalf("%v\n%s", err, text)
	}
	r, err := resultfile.ReadResult(filepath.Join(p.dir, "service"))
	must(t, err)
	checkPodRun(t, r)
	if s := r.Environment.Service; s == nil || s.Address != r.Environment.Server || len(s.Backends) != 1 || s.Backends[0] == s.Address {
		t.Errorf("%+v, server %s", s, r.Environment.Server)
	}
	p.checkRestored()
	p.checkNoObjects()
}

func checkPodRun(t *testing.T, r *result.Result) {
	t.Helper()
	k := r.Environment.Kubernetes
	if k == nil || k.Node == "" || k.ServerNode == "" || k.Node == k.ServerNode || k.NoBarrier != "" || k.DrawsPorts {
		t.Fatalf("%+v", k)
	}
	if len(k.Rules) != 2 || !strings.Contains(k.Rules[0], "CNI-") || !strings.HasSuffix(k.Rules[0], "-j MASQUERADE") {
		t.Errorf("rules %q, want one for each Pod", k.Rules)
	}
	for _, arm := range r.Arms {
		for _, trial := range arm.Trials {
			sum := 0
			for _, n := range trial.Causes {
				sum += n
			}
			if sum != trial.Failed || trial.RulePackets != uint64(trial.Requests) || trial.Control == nil || trial.Control.RulePackets != uint64(trial.Control.Requests) {
				t.Errorf("%s, round %d: %d failed, causes %v; the rule matched %d of %d", arm.Name, trial.Round, trial.Failed, trial.Causes, trial.RulePackets, trial.Requests)
			}
		}
	}
}

// A controller that is killed, or stopped, leaves a node that restores itself, and objects
// that cleanup removes.
func TestKubernetesControllerGone(t *testing.T) {
	p := requireNodes(t)
	for name, signal := range map[string]unix.Signal{"killed": unix.SIGKILL, "stopped": unix.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			p := p.with(t)
			e := p.startEndless(name)
			must(t, e.Process.Signal(signal))
			p.checkOwnRulesGone()
			if signal == unix.SIGSTOP {
				must(t, e.Process.Signal(unix.SIGCONT))
			}
			if err := e.Wait(); err == nil {
				t.Errorf("it ended well:\n%s", e.output)
			}
			if out, err := p.command("cleanup", "--driver", "kubernetes").CombinedOutput(); err != nil {
				t.Errorf("cleanup: %v: %s", err, out)
			}
			p.checkRestored()
			p.checkNoObjects()
		})
	}
}

// Whatever happens to the agent, to a client or to the API server in mid-trial, the run ends
// with an error that says so, the node is restored, and no object is left.
func TestKubernetesBadDays(t *testing.T) {
	p := requireNodes(t)
	for name, day := range map[string]struct {
		happens func(namespace string)
		want    string
	}{
		"agent-deleted": {func(ns string) {
			p.Kubectl(t, "--namespace="+ns, "delete", "pod", "--selector=snatlab.part=agent", "--wait=false")
		}, "agent on node node1 died"},
		"agent-killed": {func(ns string) {
			p.Kubectl(t, "--namespace="+ns, "delete", "pod", "--selector=snatlab.part=agent", "--force", "--grace-period=0")
		}, "agent on node node1 died"},
		"client-deleted": {func(ns string) {
			p.Kubectl(t, "--namespace="+ns, "delete", "pod", "--selector=snatlab.part=client", "--wait=false")
		}, "somebody deleted"},
		"api-restarted":     {func(string) { p.Cluster.Run(t, "restart", "control", "kube-apiserver") }, "died"},
		"namespace-deleted": {func(ns string) { p.Kubectl(t, "delete", "namespace", ns, "--wait=false") }, "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			p := p.with(t)
			e := p.startEndless(name)
			day.happens(p.namespace())
			err := e.Wait()
			if code := e.ProcessState.ExitCode(); code != exitUnable || !strings.Contains(e.output.String(), day.want) {
				t.Errorf("%v, exit code %d, want %d and %q:\n%s", err, code, exitUnable, day.want, e.output)
			}
			p.checkOwnRulesGone()
			if out, err := p.command("cleanup", "--driver", "kubernetes", "--node", "node1").CombinedOutput(); err != nil {
				t.Errorf("cleanup: %v: %s", err, out)
			}
			p.checkRestored()
			p.checkNoObjects()
		})
	}
}

// A second run on a node is refused, and the error names the first run.
func TestKubernetesSecondRun(t *testing.T) {
	p := requireNodes(t)
	e := p.startEndless("first")
	c := p.command("run", "kubernetes-masquerade", "--node", "node1", "--out", "second")
	out, _ := c.CombinedOutput()
	if c.ProcessState.ExitCode() != exitUnable || !strings.Contains(string(out), "another snatlab is active on this host: run ") || !strings.Contains(string(out), " of first ") {
		t.Errorf("exit code %d:\n%s", c.ProcessState.ExitCode(), out)
	}
	c = p.command("cleanup", "--driver", "kubernetes")
	if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != exitUnable || !strings.Contains(string(out), "wait until the run ends") {
		t.Errorf("cleanup: exit code %d:\n%s", c.ProcessState.ExitCode(), out)
	}
	must(t, e.Process.Signal(unix.SIGINT))
	_ = e.Wait()
	if code := e.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the first run: exit code %d\n%s", code, e.output)
	}
	p.checkRestored()
	p.checkNoObjects()
}

// What a run is asked for and the cluster does not have is an error that names it.
func TestKubernetesUnsuitableNodes(t *testing.T) {
	p := requireNodes(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--node", "node9"}, `the cluster has no node "node9"; it has node1, node2`},
		{[]string{"--namespace", "nowhere"}, `the cluster has no namespace "nowhere"`},
		{[]string{"--image", "localhost/nothing:1"}, "the node cannot get the image localhost/nothing:1"},
	} {
		c := p.command(append([]string{"run", "kubernetes-masquerade", "--out", "none"}, test.args...)...)
		out, _ := c.CombinedOutput()
		if c.ProcessState.ExitCode() != exitUnable || !strings.Contains(string(out), test.want) {
			t.Errorf("%q: exit code %d, want %q:\n%s", test.args, c.ProcessState.ExitCode(), test.want, out)
		}
	}
	p.checkRestored()
	p.checkNoObjects()
}

// heldLease is the Lease of a node that another fleet holds.
const heldLease = `{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "snatlab-node2", "namespace": "default"},
"spec": {"holderIdentity": "fleet of another", "leaseDurationSeconds": 60, "renewTime": %q}}`

// A fleet runs on every node; one that cannot be run is a row with its reason.
func TestKubernetesFleet(t *testing.T) {
	p := requireNodes(t)
	lease := filepath.Join(p.dir, "lease.json")
	must(t, os.WriteFile(lease, fmt.Appendf(nil, heldLease, time.Now().Add(time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z")), 0o600))
	p.Kubectl(t, "create", "--filename="+lease)
	c := p.command("fleet", "kubernetes-masquerade", "--out", "fleet", "--parallel", "2", "--rounds", "1", "--store", "store")
	out, _ := c.CombinedOutput()
	text, err := os.ReadFile(filepath.Join(p.dir, "fleet", resultfile.FleetName))
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	var f result.Fleet
	must(t, json.Unmarshal(text, &f))
	if len(f.Nodes) != 2 || f.Nodes[1].Status != result.RowError || !strings.Contains(f.Nodes[1].Reason, "is in use: fleet of another") || c.ProcessState.ExitCode() != exitUnable {
		t.Errorf("exit code %d:\n%s", c.ProcessState.ExitCode(), out)
	}
	if f.Nodes[0].Status != result.RowOK {
		t.Errorf("node1: %+v", f.Nodes[0].Reason)
	}
	p.checkRestored()
	p.checkNoObjects()
	p.Kubectl(t, "delete", "--filename="+lease)
	if left := p.Kubectl(t, "get", "leases", "--namespace=default", "--output=name"); strings.Contains(left, "snatlab-") {
		t.Errorf("left: %s", left)
	}
}

// deleteAtEnd deletes objects when the test ends. Its context has ended then.
func (p *podLab) deleteAtEnd(what ...string) {
	p.Cleanup(func() {
		args := append([]string{"kubectl", "delete", "--ignore-not-found", "--timeout=60s"}, what...)
		if out, err := exec.Command(os.Getenv("SNATLAB_CLUSTER"), args...).CombinedOutput(); err != nil {
			p.Errorf("%v: %s", err, out)
		}
	})
}

// asRunner makes the program use the cluster as a service account that has the documented
// role, and nothing more. Without bind it has no right at all.
func (p *podLab) asRunner(name string, bind bool) (kubeconfig string) {
	p.Helper()
	p.Kubectl(p.T, "create", "serviceaccount", name, "--namespace=default")
	p.deleteAtEnd("serviceaccount", name, "--namespace=default")
	if bind {
		p.Kubectl(p.T, "create", "clusterrolebinding", name, "--clusterrole=snatlab-run", "--serviceaccount=default:"+name)
		p.deleteAtEnd("clusterrolebinding", name)
	}
	token := strings.TrimSpace(p.Kubectl(p.T, "create", "token", name, "--namespace=default"))
	text, err := os.ReadFile(p.Kubeconfig)
	must(p.T, err)
	var config map[string]any
	must(p.T, yaml.Unmarshal(text, &config))
	user := config["users"].([]any)[0].(map[string]any)
	user["user"] = map[string]any{"token": token}
	text, err = yaml.Marshal(config)
	must(p.T, err)
	path := filepath.Join(p.dir, name)
	must(p.T, os.WriteFile(path, text, 0o600))
	return path
}

// A user with the documented role, and nothing more, can run a scenario, clean up and run a
// fleet. Without it, each verb that is missing is named.
func TestKubernetesUser(t *testing.T) {
	p := requireNodes(t)
	rights, err := filepath.Abs("../../packaging/kubernetes")
	must(t, err)
	p.Kubectl(t, "apply", "--kustomize="+rights)
	p.deleteAtEnd("--kustomize=" + rights)

	runner := p.asRunner("runner", true)
	out, err := p.command("doctor", "--driver", "kubernetes", "--kubeconfig", runner).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all that a run needs") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	for _, args := range [][]string{
		{"run", "kubernetes-masquerade", "--rounds", "1", "--out", "as-runner"},
		{"fleet", "kubernetes-masquerade", "--rounds", "1", "--nodes", "kubernetes.io/hostname=node1", "--out", "fleet-as-runner"},
		{"cleanup", "--driver", "kubernetes"},
	} {
		c := p.command(append(args, "--kubeconfig", runner)...)
		if out, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != exitPass && c.ProcessState.ExitCode() != exitInconclusive {
			t.Errorf("%q: exit code %d\n%s", args, c.ProcessState.ExitCode(), out)
		}
	}

	stranger := p.asRunner("stranger", false)
	c := p.command("doctor", "--driver", "kubernetes", "--kubeconfig", stranger)
	out, _ = c.CombinedOutput()
	for _, verb := range []string{"list nodes", "create namespaces", "delete namespaces", "get serviceaccounts", "create pods", "watch pods", "create pods/attach"} {
		if !strings.Contains(string(out), verb+" (to ") {
			t.Errorf("doctor does not name %s:\n%s", verb, out)
		}
	}
	if c.ProcessState.ExitCode() != exitUnable {
		t.Errorf("doctor: exit code %d", c.ProcessState.ExitCode())
	}
	p.checkRestored()
	p.checkNoObjects()
}
