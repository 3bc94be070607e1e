package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Requests have the paths, options and bodies of the API, and a missing object is recognised.
func TestClients(t *testing.T) {
	t.Parallel()
	var asked []string
	answer := map[string]any{
		"GET /api/v1/nodes?labelSelector=a%3Db":                        corev1.NodeList{Items: []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node1"}}}},
		"POST /api/v1/namespaces/lab/pods?dryRun=All":                  corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "made"}},
		"DELETE /api/v1/namespaces/lab/pods/old":                       metav1.Status{Status: metav1.StatusSuccess},
		"GET /api/v1/namespaces/lab/pods?watch=true":                   metav1.WatchEvent{Type: "ADDED"},
		"GET /apis/coordination.k8s.io/v1/namespaces/lab/leases/node1": coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "node1", ResourceVersion: "7"}},
		"PUT /apis/coordination.k8s.io/v1/namespaces/lab/leases/node1": coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "node1", ResourceVersion: "8"}},
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":  authorizationv1.SelfSubjectAccessReview{Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		what := r.Method + " " + r.URL.String()
		asked = append(asked, what+" "+string(body))
		w.Header().Set("Content-Type", "application/json")
		a, ok := answer[what]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			a = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound}
		}
		json.NewEncoder(w).Encode(a)
	}))
	defer server.Close()
	c, err := NewClients(&rest.Config{Host: server.URL})
	must(t, err)
	ctx := t.Context()
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "a=b"})
	if must(t, err); len(nodes.Items) != 1 || nodes.Items[0].Name != "node1" {
		t.Errorf("nodes %+v", nodes)
	}
	pod, err := c.CoreV1().Pods("lab").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if must(t, err); pod.Name != "made" {
		t.Errorf("pod %+v", pod)
	}
	must(t, c.CoreV1().Pods("lab").Delete(ctx, "old", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	watch, err := c.CoreV1().Pods("lab").Watch(ctx, metav1.ListOptions{})
	must(t, err)
	watch.Stop()
	lease, err := c.CoordinationV1().Leases("lab").Get(ctx, "node1", metav1.GetOptions{})
	must(t, err)
	if lease, err = c.CoordinationV1().Leases("lab").Update(ctx, lease, metav1.UpdateOptions{}); err != nil || lease.ResourceVersion != "8" {
		t.Errorf("lease %+v, %v", lease, err)
	}
	review, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{}, metav1.CreateOptions{})
	if must(t, err); !review.Status.Allowed {
		t.Errorf("review %+v", review)
	}
	if _, err := c.CoreV1().Pods("lab").Get(ctx, "gone", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a missing Pod: %v", err)
	}
	if want := `DELETE /api/v1/namespaces/lab/pods/old {"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}` + "\n"; !slices.Contains(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
