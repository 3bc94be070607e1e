package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A node has one holder. The second one is told who the first is, until the first is done
// or has not renewed the Lease for long.
func TestLease(t *testing.T) {
	f := newFakeCluster(t, newNode("n1"))
	first, held, err := f.TakeLease(t.Context(), "snatlab", "n1", "fleet A at host-a")
	if err != nil || held.Err() != nil {
		t.Fatal(err)
	}
	_, _, err = f.TakeLease(t.Context(), "snatlab", "n1", "fleet B")
	if !errors.As(err, new(*HeldError)) || !strings.Contains(err.Error(), "node n1 is in use: fleet A at host-a") {
		t.Errorf("error %v", err)
	}
	if err := first.renewOnce(t.Context()); err != nil {
		t.Error(err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Error(err)
	}
	second, _, err := f.TakeLease(t.Context(), "snatlab", "n1", "fleet B")
	if err != nil {
		t.Fatal(err)
	}
	leases := f.CoordinationV1().Leases("snatlab")
	stale, err := leases.Get(t.Context(), "snatlab-n1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stale.Spec.RenewTime = &metav1.MicroTime{Time: time.Now().Add(-2 * leaseTime)}
	if _, err := leases.Update(t.Context(), stale, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	third, _, err := f.TakeLease(t.Context(), "snatlab", "n1", "fleet C")
	if err != nil {
		t.Fatalf("after it has expired: %v", err)
	}
	if err := second.renewOnce(t.Context()); !errors.Is(err, errLeaseLost) {
		t.Errorf("of one that was lost: %v", err)
	}
	if err := second.Release(context.Background()); err != nil {
		t.Errorf("of one that was lost: %v", err)
	}
	if err := third.renewOnce(t.Context()); err != nil {
		t.Errorf("the holder lost it: %v", err)
	}
	if err := third.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if left, err := leases.List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}
