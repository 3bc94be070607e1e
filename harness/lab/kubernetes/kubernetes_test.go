package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttest "k8s.io/client-go/testing"

	"snatlab/harness/lab/router"
	"snatlab/harness/probe"
	"snatlab/harness/undo"
)

// foundRule is the answer of an agent that has found one rule.
var foundRule = map[string]any{"found": []router.FoundRule{{Program: "iptables (nft)", Place: "CNI-1", Text: "-A CNI-1 -j MASQUERADE", Clients: []int{0, 1}}}}

// A lab has its Pods on two nodes, restores the node before it removes the Pods, and
// leaves nothing.
func TestLab(t *testing.T) {
	f := newFakeCluster(t, newNode("n2"), newNode("n1"))
	f.answers["find"] = foundRule
	l := f.open(f.config())

	if server, clients := l.Addresses(); !server.IsLoopback() || len(clients) != 2 {
		t.Errorf("server %v, clients %v", server, clients)
	}
	env := l.Environment()
	if k := env.Kubernetes; k == nil || k.Node != "n1" || k.ServerNode != "n2" || k.Version != "v1.34.4" || len(k.Rules) != 1 || env.NAT != "iptables" {
		t.Errorf("%+v", env.Kubernetes)
	}
	at, err := l.Listen(t.Context(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	report, err := l.Clients()[1].Run(t.Context(), probe.ClientLoad{Server: at.Arm, Requests: 3, Timeout: time.Second, Concurrency: 1})
	if err != nil || report.Succeeded != 3 {
		t.Errorf("%+v, %v", report, err)
	}
	if err := l.Intact(t.Context()); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	agent := "snatlab-20260101-000000-abcdef-agent"
	if got := f.listOrders(); got[0] != agent || got[1] != "open" || got[len(got)-1] != "close" {
		t.Errorf("orders %q", got)
	}
	f.checkNothingLeft()
}

// makeServices has the API give Services an address.
func (f *fakeCluster) makeServices(address string) {
	f.api.PrependReactor("create", "services", func(action clienttest.Action) (bool, runtime.Object, error) {
		action.(clienttest.CreateAction).GetObject().(*corev1.Service).Spec.ClusterIP = address
		return false, nil, nil
	})
}

// With a service address, the clients connect to the ClusterIP of a Service that leads to the
// server, with a port for each trial, and that goes with the server's Pod.
func TestService(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.makeServices("127.0.0.2")
	config := f.config()
	config.Service, config.Trials = true, 4
	l := f.open(config)
	if server, _ := l.Addresses(); server.String() != "127.0.0.2" {
		t.Errorf("the clients connect to %v", server)
	}
	if s := l.Environment().Service; s == nil || s.Address != "127.0.0.2" || !slices.Equal(s.Backends, []string{"127.0.0.1"}) {
		t.Errorf("%+v", s)
	}
	pod := f.findPod("server")
	s, err := f.api.CoreV1().Services(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range s.Spec.Selector {
		if pod.Labels[name] != value {
			t.Errorf("the server's Pod has no label %s=%s", name, value)
		}
	}
	if owner := s.OwnerReferences; len(owner) != 1 || owner[0].Kind != "Pod" || owner[0].Name != pod.Name {
		t.Errorf("owners %+v", owner)
	}
	for trial := range config.Trials {
		at, err := l.Listen(t.Context(), trial, false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool {
			return p.Port == int32(at.Arm.Port()) && p.TargetPort.IntVal == p.Port
		}) {
			t.Errorf("no port of the Service is %d, of trial %d", at.Arm.Port(), trial)
		}
		if _, err := l.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A Service without an address that can be used ends the run, and leaves nothing.
func TestServiceRefused(t *testing.T) {
	for address, want := range map[string]string{
		"None": `the ClusterIP "None" of Service snatlab-20260101-000000-abcdef-server is not an IPv4 address`,
		"fd::": `the ClusterIP "fd::" of Service snatlab-20260101-000000-abcdef-server is not an IPv4 address`,
	} {
		f := newFakeCluster(t, newNode("n1"), newNode("n2"))
		f.makeServices(address)
		config := f.config()
		config.Service = true
		if _, err := Open(t.Context(), f.Cluster, config); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", address, err, want)
		}
		f.checkNothingLeft()
	}
}

// Clients and server can do nothing but send and answer. The agent has what it needs.
func TestPods(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.open(f.config())
	for name, node := range map[string]string{"client-0": "n1", "client-1": "n1", "server": "n2", "agent": "n1"} {
		pod := f.findPod(name)
		s := pod.Spec.Containers[0].SecurityContext
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Capabilities.Drop[0] != "ALL" || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || s.Privileged != nil {
			t.Errorf("%s: %+v", name, s)
		}
		if at := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values; !slices.Equal(at, []string{node}) {
			t.Errorf("%s is on %q, want %s", name, at, node)
		}
		if pod.Spec.Containers[0].Resources.Limits.Memory().IsZero() || *pod.Spec.AutomountServiceAccountToken || pod.Labels[runLabel] != f.config().Run {
			t.Errorf("%s: %+v", name, pod)
		}
		if name == "agent" {
			if got := s.Capabilities.Add; !slices.Equal(got, []corev1.Capability{"NET_ADMIN", "NET_RAW", "SYS_CHROOT"}) || !pod.Spec.HostNetwork {
				t.Errorf("agent: %v", got)
			}
			continue
		}
		if !*s.RunAsNonRoot || s.Capabilities.Add != nil || pod.Spec.HostNetwork {
			t.Errorf("%s: %+v", name, s)
		}
		if volumes := len(pod.Spec.Volumes); volumes != map[bool]int{true: 1, false: 0}[strings.HasPrefix(name, "client")] {
			t.Errorf("%s has %d volumes", name, volumes)
		}
	}
}

// A namespace that does not admit the folder of the barrier has clients without it.
func TestNoBarrier(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.start = func(p *corev1.Pod) error {
		if p.Labels[partLabel] == partClient && p.Spec.Volumes != nil {
			return forbidden("pods", "hostPath volumes are not allowed")
		}
		return nil
	}
	l := f.open(f.config())
	if l.Barrier() != "" || !strings.Contains(l.Environment().Kubernetes.NoBarrier, "hostPath volumes are not allowed") {
		t.Errorf("barrier %q, because %q", l.Barrier(), l.Environment().Kubernetes.NoBarrier)
	}
}

func forbidden(resource, why string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New(why))
}

// Each cause for which no lab can be opened has its message, and leaves nothing.
func TestOpenFails(t *testing.T) {
	waiting := func(reason, message string) func(*corev1.Pod) error {
		return func(p *corev1.Pod) error {
			if p.Labels[partLabel] != partClient {
				return nil
			}
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Image: "x:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
			return nil
		}
	}
	taint := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "dedicated", Value: "db", Effect: corev1.TaintEffectNoSchedule}}
	}
	two := []runtime.Object{newNode("n1"), newNode("n2")}
	for _, test := range []struct {
		name    string
		objects []runtime.Object
		change  func(*Config)
		start   func(*corev1.Pod) error
		answers map[string]any
		want    []string
	}{
		{name: "no_such_node", objects: two, change: func(c *Config) { c.Node = "n3" }, want: []string{`the cluster has no node "n3"; it has n1, n2`}},
		{name: "tainted_node", objects: []runtime.Object{newNode("n1", taint), newNode("n2")}, change: func(c *Config) { c.Node = "n1" },
			want: []string{"node n1 has the taint dedicated=db:NoSchedule"}},
		{name: "cordoned_node", objects: []runtime.Object{newNode("n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })}, want: []string{"no node can have the clients: n1 is cordoned"}},
		{name: "no_second_node", objects: two[:1], want: []string{"no second node for the server (the cluster has no other node)", "snatlab serve"}},
		{name: "no_namespace", objects: two, change: func(c *Config) { c.Namespace = "lab" }, want: []string{`the cluster has no namespace "lab"`}},
		{name: "namespace_being_deleted", objects: append(slices.Clone(two), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}),
			change: func(c *Config) { c.Namespace = "lab" }, want: []string{"namespace lab is being deleted"}},
		{name: "unschedulable", objects: two, start: func(p *corev1.Pod) error {
			p.Status.Phase = corev1.PodPending
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/2 nodes are available: 1 Insufficient memory."}}
			return nil
		}, want: []string{"start Pod snatlab-20260101-000000-abcdef-agent: no node can have it: 0/2 nodes are available: 1 Insufficient memory."}},
		{name: "no_image", objects: two, start: waiting("ErrImageNeverPull", `Container image "x:1" is not present`), want: []string{"the node cannot get the image x:1: ErrImageNeverPull", "snatlab image"}},
		{name: "forbidden", objects: two, start: func(*corev1.Pod) error { return forbidden("pods", "user cannot create resource pods") },
			want: []string{"create Pod snatlab-20260101-000000-abcdef-agent", "user cannot create resource pods", "docs/kubernetes.md"}},
		{name: "evicted", objects: two, start: func(p *corev1.Pod) error {
			if p.Labels[partLabel] == partServer {
				p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
			}
			return nil
		}, want: []string{"start Pod snatlab-20260101-000000-abcdef-server", "Evicted: The node was low on resource: memory."}},
		{name: "no_rule", objects: two, answers: map[string]any{"find": errors.New("no rule of iptables or nftables translates")}, want: []string{"node n1: agent on node n1: no rule of iptables or nftables translates"}},
		{name: "second_run", objects: two, answers: map[string]any{"open": errors.New("another snatlab is active on this host: run X")}, want: []string{"node n1", "another snatlab is active on this host: run X"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFakeCluster(t, test.objects...)
			f.answers["find"] = foundRule
			for order, answer := range test.answers {
				f.answers[order] = answer
			}
			if test.start != nil {
				f.start = test.start
			}
			c := f.config()
			if test.change != nil {
				test.change(&c)
			}
			_, err := Open(t.Context(), f.Cluster, c)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v\nwant  %s", err, want)
				}
			}
			f.checkNothingLeft()
			if orders := f.listOrders(); slices.Contains(orders, "open") && !slices.Contains(orders, "close") {
				t.Errorf("the node was not restored: %q", orders)
			}
		})
	}
}

// The building of a lab may be interrupted at each of its steps: nothing is left.
func TestInterruption(t *testing.T) {
	interrupted := errors.New("interrupted")
	for at := 0; ; at++ {
		f := newFakeCluster(t, newNode("n1"), newNode("n2"))
		f.answers["find"] = foundRule
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		c := f.config()
		c.Say = func(string) {
			if steps == at {
				cancel(interrupted)
			}
			steps++
		}
		l, err := Open(ctx, f.Cluster, c)
		cancel(nil)
		if steps <= at {
			if err == nil {
				err = l.Close(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
		if err == nil {
			t.Errorf("interrupted at step %d, and opened", at)
		}
		f.checkNothingLeft()
	}
}

// When the agent is gone, another one restores the node before the Pods are deleted.
func TestAgentGone(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.answers["cleanup"] = router.Cleaned{Undone: []string{"rule x"}}
	reports := &said{}
	c := f.config()
	c.Say = reports.say
	l := f.open(c)
	f.endPod("snatlab-" + c.Run + "-agent")
	if err := f.api.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), l.namespace, "snatlab-"+c.Run+"-agent"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Conntrack(t.Context()); err == nil || !strings.Contains(err.Error(), "agent on node n1 died") || !strings.Contains(err.Error(), "somebody deleted its Pod") {
		t.Errorf("error %v", err)
	}
	if err := l.Intact(t.Context()); err == nil {
		t.Error("it is intact")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	orders := f.listOrders()
	if got := orders[len(orders)-2:]; !slices.Equal(got, []string{"snatlab-" + c.Run + "-agent-1", "cleanup"}) || !strings.Contains(reports.String(), "undone: rule x") {
		t.Errorf("orders %q, reported %v", orders, reports)
	}
	f.checkNothingLeft()
}

// When somebody deletes the namespace, the node is restored from another one.
func TestNamespaceDeleted(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.answers["cleanup"] = router.Cleaned{}
	c := f.config()
	l := f.open(c)
	f.endPod("snatlab-" + c.Run + "-agent")
	if err := f.api.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("namespaces"), "", l.namespace); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if pod := f.findPod("agent-1"); pod.Namespace != "snatlab-"+c.Run+"-1" {
		t.Errorf("the second agent is in %s", pod.Namespace)
	}
	f.checkNothingLeft()
}

// What an agent could not undo is an error of its own, and the Pods stay: they name the
// node.
func TestNotRestored(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	f.answers["close"] = map[string]any{"left": []any{map[string]any{"step": undo.Step{What: "rule x", Manual: "iptables -D x"}, "error": "it is stuck"}}}
	l := f.open(f.config())
	err := l.Close(t.Context())
	if !errors.As(err, new(*undo.LeftError)) || !strings.Contains(fmt.Sprint(err), "snatlab cleanup --driver kubernetes --node n1") {
		t.Errorf("error %v", err)
	}
	if runs, err := f.listRuns(t.Context(), ""); err != nil || len(runs) != 1 || runs[0].node != "n1" {
		t.Errorf("%+v, %v", runs, err)
	}
	delete(f.answers, "close")
}

// A client whose Pod is evicted is an error with the reason.
func TestClientEvicted(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), newNode("n2"))
	f.answers["find"] = foundRule
	l := f.open(f.config())
	pod := f.findPod("client-1").DeepCopy()
	pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}
	if err := f.api.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), pod, pod.Namespace); err != nil {
		t.Fatal(err)
	}
	f.endPod(pod.Name)
	server, _ := l.Addresses()
	_, err := l.Clients()[1].Run(t.Context(), probe.ClientLoad{Server: addrPort(server), Requests: 1, Timeout: time.Second, Concurrency: 1})
	if err == nil || !strings.Contains(err.Error(), "client 1 died") || !strings.Contains(err.Error(), "Evicted: The node was low on resource") {
		t.Errorf("error %v", err)
	}
	if err := l.Intact(t.Context()); err == nil || !strings.Contains(err.Error(), "Evicted") {
		t.Errorf("intact: %v", err)
	}
}

// Each missing verb is named.
func TestMissingRights(t *testing.T) {
	f := newFakeCluster(t)
	denied := map[string]bool{"create pods": true, "get pods/attach": true, "list events": true}
	f.api.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttest.Action) (bool, runtime.Object, error) {
		return true, review(action, denied), nil
	})
	missing, err := f.listMissingRights(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	want := "create pods (to run clients, server and agent); get pods/attach (to talk to them)"
	if got := describeMissing(missing); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Cleanup leaves a run alone that is active: neither its node nor its Pods are touched.
func TestCleanupActive(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"), runNamespace("snatlab-now", "now", "n1"))
	f.answers["cleanup"] = errors.New("another snatlab is active on this host: run now")
	_, err := Cleanup(t.Context(), f.Cluster, CleanupConfig{Say: func(string) {}})
	if err == nil || errors.As(err, new(*undo.LeftError)) || !strings.Contains(err.Error(), "run now (wait until the run ends") {
		t.Errorf("error %v", err)
	}
	if runs, err := f.listRuns(t.Context(), ""); err != nil || len(runs) != 1 || runs[0].run != "now" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// Cleanup restores the nodes that objects of runs name, and then removes these objects.
func TestCleanup(t *testing.T) {
	left := []runtime.Object{
		newNode("n1"), newNode("n2"),
		runNamespace("snatlab-old", "old", "n1"),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "snatlab-o2-agent", Namespace: "lab", Labels: map[string]string{runLabel: "o2"}, Annotations: map[string]string{nodeAnnotation: "n2"}}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "lab"}},
	}
	f := newFakeCluster(t, left...)
	f.answers["cleanup"] = router.Cleaned{Undone: []string{"rule x"}}
	reports := &said{}
	c := CleanupConfig{DryRun: true, Say: reports.say}
	for _, dry := range []bool{true, false} {
		c.DryRun = dry
		if found, err := Cleanup(t.Context(), f.Cluster, c); !found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
	}
	for _, want := range []string{"would remove run old from namespace snatlab-old", "node n1: would undo: rule x", "node n2: undone: rule x", "removing run o2 from namespace lab"} {
		if !strings.Contains(reports.String(), want) {
			t.Errorf("reported %v, without %q", reports, want)
		}
	}
	f.checkNothingLeft()
	pods, err := f.CoreV1().Pods("lab").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 1 {
		t.Errorf("the Pods of others: %+v, %v", pods, err)
	}
	if found, err := Cleanup(t.Context(), f.Cluster, c); found || err != nil {
		t.Errorf("once more: %v, %v", found, err)
	}
}
