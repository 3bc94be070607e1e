package kubernetes

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttest "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/remotecommand"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/probe/agent"
	"snatlab/harness/scenario"
)

// fakeCluster is a cluster whose API is client-go's fake one. Its Pods run as soon as they
// are made: those of clients and server are real probes in this process, on the loopback
// interface, and an agent answers with the answers of the test.
type fakeCluster struct {
	*testing.T
	*Cluster
	api *fake.Clientset

	// start sets the status of a Pod that is made, or returns the error of the API.
	start func(*corev1.Pod) error
	// answers are those of agents, by order. A function is called. An order without an
	// answer is answered with none; "close" and "cleanup" have an empty value. A nil answer
	// ends the agent.
	answers map[string]any

	mu     sync.Mutex
	orders []string          // of all agents, in order; of each one first its Pod's name
	made   []*corev1.Pod     // in order
	ends   map[string]func() // end the stream of a Pod
	wait   sync.WaitGroup
}

func newNode(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.NodeInfo = corev1.NodeSystemInfo{KernelVersion: "6.1.0", KubeletVersion: "v1.34.4", OperatingSystem: "linux", ContainerRuntimeVersion: "containerd://1.6.20"}
	for _, c := range change {
		c(n)
	}
	return n
}

// newFakeCluster returns a cluster with some objects.
func newFakeCluster(t *testing.T, objects ...runtime.Object) *fakeCluster {
	t.Helper()
	f := &fakeCluster{T: t, api: fake.NewClientset(objects...), answers: map[string]any{}, ends: map[string]func(){}}
	f.Cluster = &Cluster{API: fakeAPI{f.api}, Address: "https://192.0.2.1:6443", attach: f.attachPod}
	f.start = func(*corev1.Pod) error { return nil }
	f.api.PrependReactor("create", "pods", f.makePod)
	f.api.PrependReactor("create", "namespaces", f.makeNamespace)
	t.Cleanup(f.wait.Wait)
	return f
}

// makePod does what the API server and a kubelet do.
func (f *fakeCluster) makePod(action clienttest.Action) (bool, runtime.Object, error) {
	create := action.(clienttest.CreateActionImpl)
	pod := create.GetObject().(*corev1.Pod)
	if create.CreateOptions.DryRun != nil {
		return true, pod, f.start(pod.DeepCopy())
	}
	pod.Status.Phase, pod.Status.PodIP = corev1.PodRunning, "127.0.0.1"
	if err := f.start(pod); err != nil {
		return true, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made = append(f.made, pod.DeepCopy())
	return false, nil, nil
}

// makeNamespace makes the ServiceAccount of a new namespace, as the controller manager
// does.
func (f *fakeCluster) makeNamespace(action clienttest.Action) (bool, runtime.Object, error) {
	n := action.(clienttest.CreateAction).GetObject().(*corev1.Namespace)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: n.Name}}
	return false, nil, f.api.Tracker().Add(account)
}

// attachPod runs the process of a Pod.
func (f *fakeCluster) attachPod(ctx context.Context, _, name string, s remotecommand.StreamOptions) error {
	f.wait.Add(1)
	defer f.wait.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	in, inW := io.Pipe()
	defer inW.Close()
	go func() {
		_, err := io.Copy(inW, s.Stdin)
		inW.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { inW.Close() })
	f.mu.Lock()
	at := slices.IndexFunc(f.made, func(p *corev1.Pod) bool { return p.Name == name })
	part := f.made[at].Labels[partLabel]
	f.ends[name] = func() {
		cancel()
		<-ended
	}
	f.mu.Unlock()
	switch part {
	case partAgent:
		return f.runAgent(name, in, s.Stdout)
	case partServer:
		a := agent.Agent{Role: probe.RoleServer, Attached: true, Guests: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
		return a.Serve(in, s.Stdout)
	}
	a := agent.Agent{Role: probe.RoleClient, Attached: true}
	return a.Serve(in, s.Stdout)
}

// runAgent answers the orders of a controller.
func (f *fakeCluster) runAgent(name string, in io.Reader, out io.Writer) error {
	f.record(name)
	answers := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		m, err := probe.ParseMessage(lines.Bytes())
		if err != nil {
			return err
		}
		answer := probe.Message{V: probe.Version}
		if m.Greet != nil {
			answer.Hello = &probe.Hello{Role: probe.RoleRouter, CPUs: []int{0}, Files: 1}
		} else {
			if m.Router.Order != "awake" {
				f.record(m.Router.Order)
			}
			value, known := f.answers[m.Router.Order]
			if do, ok := value.(func() any); ok {
				value = do()
			}
			if known && value == nil {
				return nil
			}
			if err, ok := value.(error); ok {
				answer.Error = err.Error()
			} else if value == nil {
				answer.Routed = &probe.Routing{Order: m.Router.Order, Values: json.RawMessage(`{}`)}
			} else {
				text, _ := json.Marshal(value)
				answer.Routed = &probe.Routing{Order: m.Router.Order, Values: text}
			}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
		if m.Router != nil && m.Router.Order == "close" {
			return nil
		}
	}
	return nil
}

func (f *fakeCluster) record(order string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, order)
}

// listOrders returns the orders that the agents got.
func (f *fakeCluster) listOrders() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.orders)
}

// endPod ends the process of a Pod, as its deletion does.
func (f *fakeCluster) endPod(name string) {
	f.mu.Lock()
	end := f.ends[name]
	f.mu.Unlock()
	end()
}

// config returns the configuration of a lab with two clients.
func (f *fakeCluster) config() Config {
	return Config{
		Run: "20260101-000000-abcdef", What: "test", Image: "localhost/snatlab-probe:1", PullPolicy: "Never",
		Clients: 2, Trials: 3, Control: true, Barrier: true, Arms: []scenario.Arm{{Name: "a"}},
	}
}

// open opens a lab, which is closed when the test ends.
func (f *fakeCluster) open(c Config) *kubernetesLab {
	f.Helper()
	l, err := Open(f.Context(), f.Cluster, c)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close(context.Background()) })
	return l.(*kubernetesLab)
}

// checkNothingLeft checks that no object with our label is left.
func (f *fakeCluster) checkNothingLeft() {
	f.Helper()
	runs, err := f.listRuns(context.Background(), "")
	if err != nil || len(runs) > 0 {
		f.Errorf("left: %+v, %v", runs, err)
	}
}

// findPod returns a Pod as it was made.
func (f *fakeCluster) findPod(end string) *corev1.Pod {
	f.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.made, func(p *corev1.Pod) bool { return strings.HasSuffix(p.Name, end) })
	if at < 0 {
		f.Fatalf("no Pod %s", end)
	}
	return f.made[at]
}

var _ lab.Lab = (*kubernetesLab)(nil)

// said collects what a lab reports.
type said struct {
	mu  sync.Mutex
	all []string
}

func (s *said) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, text)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.all)
}
