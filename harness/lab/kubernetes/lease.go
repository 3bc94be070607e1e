package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ListNodes lists the nodes that match a label selector, by name. An empty selector is
// all nodes.
func (c *Cluster) ListNodes(ctx context.Context, selector string) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	list, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, describeAPI("list the nodes of the cluster at "+c.Address, err)
	}
	for _, n := range list.Items {
		names = append(names, n.Name)
	}
	slices.SortFunc(names, strings.Compare)
	return names, nil
}

// A Lease keeps two fleets from one node. The lock of the node's agent does that too, and
// for runs without a Lease; the Lease is seen by everybody, and without an agent.

const (
	leaseTime  = 60 * time.Second // without a renewal, after which it has expired
	renewEvery = 15 * time.Second
)

// HeldError reports that another fleet runs on a node.
type HeldError struct {
	Node, Holder string
	Since        time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("node %s is in use: %s (since %s, Lease %s)", e.Node, e.Holder, e.Since.Format(time.DateTime), leaseName(e.Node))
}

func leaseName(node string) string { return "snatlab-" + node }

// Lease is the right to run on a node.
type Lease struct {
	cluster   *Cluster
	namespace string
	name      string
	holder    string
	cancel    context.CancelCauseFunc
	renewing  sync.WaitGroup
}

// TakeLease takes the Lease of a node, and renews it until Release. The context that it
// returns ends if the Lease is lost. If another holder has it, the error is a *[HeldError].
func (c *Cluster) TakeLease(ctx context.Context, namespace, node, holder string) (*Lease, context.Context, error) {
	l := &Lease{cluster: c, namespace: namespace, name: leaseName(node), holder: holder}
	if err := l.take(ctx, node); err != nil {
		return nil, nil, err
	}
	held, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	l.renewing.Go(func() { l.renew(held) })
	return l, held, nil
}

// take creates the Lease, or replaces one that has expired.
func (l *Lease) take(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	leases := l.cluster.CoordinationV1().Leases(l.namespace)
	_, err := leases.Create(ctx, l.newLease(time.Now()), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return describeAPI("create Lease "+l.name, err)
	}
	found, err := leases.Get(ctx, l.name, metav1.GetOptions{})
	if err != nil {
		return describeAPI("look at Lease "+l.name, err)
	}
	if held := heldError(found, node, time.Now()); held != nil {
		return held
	}
	mine := l.newLease(time.Now())
	mine.ResourceVersion = found.ResourceVersion // another one may take it at this moment
	_, err = leases.Update(ctx, mine, metav1.UpdateOptions{})
	return describeAPI("take Lease "+l.name, err)
}

// newLease returns the Lease as it is written at a time.
func (l *Lease) newLease(now time.Time) *coordinationv1.Lease {
	at := metav1.NewMicroTime(now)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: l.name, Namespace: l.namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": "snatlab"}},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &l.holder, LeaseDurationSeconds: new(int32(leaseTime / time.Second)), AcquireTime: &at, RenewTime: &at,
		},
	}
}

// heldError returns the error for a Lease that another holder has; nil if it has expired.
func heldError(l *coordinationv1.Lease, node string, now time.Time) error {
	s := l.Spec
	if s.HolderIdentity == nil || s.RenewTime == nil || now.Sub(s.RenewTime.Time) > leaseTime {
		return nil
	}
	held := &HeldError{Node: node, Holder: *s.HolderIdentity, Since: s.RenewTime.Time}
	if s.AcquireTime != nil {
		held.Since = s.AcquireTime.Time
	}
	return held
}

// renew renews the Lease until ctx ends. If it is lost, or cannot be renewed for as long as
// it lasts, it ends ctx.
func (l *Lease) renew(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for renewed := time.Now(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := l.renewOnce(ctx)
		if err == nil {
			renewed = time.Now()
		}
		if errors.Is(err, errLeaseLost) || time.Since(renewed) > leaseTime {
			l.cancel(fmt.Errorf("keep Lease %s: %w", l.name, err))
			return
		}
	}
}

var errLeaseLost = errors.New("another fleet has taken it, or somebody deleted it")

func (l *Lease) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	leases := l.cluster.CoordinationV1().Leases(l.namespace)
	found, err := leases.Get(ctx, l.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return errLeaseLost
	case err != nil:
		return err
	case found.Spec.HolderIdentity == nil || *found.Spec.HolderIdentity != l.holder:
		return errLeaseLost
	}
	at := metav1.NowMicro()
	found.Spec.RenewTime = &at
	_, err = leases.Update(ctx, found, metav1.UpdateOptions{})
	return err
}

// Release ends the renewal and deletes the Lease. One that was lost stays as it is.
func (l *Lease) Release(ctx context.Context) error {
	l.cancel(nil)
	l.renewing.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	leases := l.cluster.CoordinationV1().Leases(l.namespace)
	found, err := leases.Get(ctx, l.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && (found.Spec.HolderIdentity == nil || *found.Spec.HolderIdentity != l.holder) {
		return nil
	}
	if err == nil {
		err = leases.Delete(ctx, l.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &found.ResourceVersion}})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return describeAPI("delete Lease "+l.name, err)
	}
	return nil
}
