package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"

	"snatlab/harness/lab"
	"snatlab/harness/lab/kubernetes/api"
)

// startTime bounds the wait for a Pod to run. Its image may have to be pulled.
const startTime = 2 * time.Minute

// startProbe makes a Pod, waits until it runs, and attaches to it.
func (l *kubernetesLab) startProbe(ctx context.Context, pod *corev1.Pod) (lab.StartedProbe, error) {
	p, _, err := l.startPod(ctx, pod)
	return p, err
}

// startPod does the same, and returns the Pod as well.
func (l *kubernetesLab) startPod(ctx context.Context, pod *corev1.Pod) (p lab.StartedProbe, running *corev1.Pod, err error) {
	if running, err = l.cluster.runPod(ctx, pod); err != nil {
		return p, nil, err
	}
	if p.Address, err = netip.ParseAddr(running.Status.PodIP); err == nil && !p.Address.Is4() {
		err = fmt.Errorf("%v is not an IPv4 address", p.Address)
	}
	if err != nil {
		return p, nil, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	p.Stream = l.openStream(running)
	return p, running, nil
}

// runPod makes a Pod and waits until it runs.
func (c *Cluster) runPod(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	create := func(ctx context.Context) error {
		_, err := c.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
		return err
	}
	// A repeated request may find the Pod of the first one.
	if err := patiently(ctx, create); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, describeAPI("create Pod "+pod.Name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, errSlowPod)
	defer cancel()
	running, err := c.awaitPod(ctx, pod, func(p *corev1.Pod) (bool, error) {
		if p == nil {
			return false, errors.New("somebody deleted it")
		}
		return p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "", api.DescribeTrouble(p)
	})
	if errors.Is(err, errSlowPod) {
		err = fmt.Errorf("%w%s", err, c.lastEvent(pod))
	}
	if err != nil {
		return nil, fmt.Errorf("start Pod %s: %w", pod.Name, err)
	}
	return running, nil
}

var errSlowPod = fmt.Errorf("it does not run after %v", startTime)

// awaitPod waits until done reports true for a Pod, or an error. A Pod that does not exist
// is nil.
func (c *Cluster) awaitPod(ctx context.Context, pod *corev1.Pod, done func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	pods := c.CoreV1().Pods(pod.Namespace)
	for {
		var now *corev1.Pod
		err := patiently(ctx, func(ctx context.Context) (err error) {
			now, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
			return err
		})
		if apierrors.IsNotFound(err) {
			now, err = nil, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, describeAPI("look at Pod "+pod.Name, err)
		}
		if ok, err := done(now); ok || err != nil {
			return now, err
		}
		if now == nil { // not there yet, or no more
			if err := pause(ctx); err != nil {
				return nil, err
			}
			continue
		}
		changes, err := pods.Watch(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, pod.Name).String(), ResourceVersion: now.ResourceVersion,
		})
		if err != nil && !isAway(err) && ctx.Err() == nil {
			return nil, describeAPI("watch Pod "+pod.Name, err)
		}
		if err == nil {
			awaitChange(ctx, changes)
		} else if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// awaitChange waits for the first change that a watch reports, or for its end.
func awaitChange(ctx context.Context, changes watch.Interface) {
	defer changes.Stop()
	select {
	case <-changes.ResultChan():
	case <-ctx.Done():
	}
}

// pause waits for a moment.
func pause(ctx context.Context) error {
	select {
	case <-time.After(200 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lastEvent returns the last warning about a Pod; empty if none can be had.
func (c *Cluster) lastEvent(pod *corev1.Pod) string {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	list, err := c.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name})
	if err != nil {
		return ""
	}
	text := ""
	for _, e := range list.Items {
		if e.Type == corev1.EventTypeWarning {
			text = fmt.Sprintf(" (%s: %s)", e.Reason, e.Message)
		}
	}
	return text
}

// describePart returns the name of a probe for people: "client 0", "agent on node n1".
func describePart(pod *corev1.Pod, node string) string {
	if pod.Labels[partLabel] == partAgent {
		return "agent on node " + node
	}
	return lab.DescribeProbe(pod.Name[len("snatlab-"+pod.Labels[runLabel]+"-"):])
}

// exitReason returns how the process of a Pod ended whose stream has ended.
func (l *kubernetesLab) exitReason(pod *corev1.Pod) string {
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	how := "still running: the stream broke, between here, the API server and the kubelet"
	now, err := l.cluster.awaitPod(ctx, pod, func(p *corev1.Pod) (bool, error) {
		// The stream can end a moment before the kubelet reports the end.
		return p == nil || p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded, nil
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
	case err != nil:
		how = err.Error()
	case now == nil, now.DeletionTimestamp != nil:
		how = "somebody deleted its Pod"
	default:
		how = api.DescribeEnd(now)
	}
	return how
}
