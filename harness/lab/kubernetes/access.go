package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Right is a verb on a kind of object that a run needs.
type Right struct {
	Resource, Subresource string
	Verbs                 []string
	Namespaced            bool   // in the namespace of the Pods
	Why                   string // what it is needed for
	OwnNamespace          bool   // only where a run makes its namespace
	Advisory              bool   // a run does without
}

// Rights are what runs and cleanup need. The ClusterRole of packaging/kubernetes grants
// them, and nothing else.
var Rights = []Right{
	{Resource: "nodes", Verbs: []string{"list"}, Why: "choose the nodes"},
	{Resource: "namespaces", Verbs: []string{"get"}, Why: "look at the namespace of the Pods"},
	{Resource: "namespaces", Verbs: []string{"create", "delete", "list"}, OwnNamespace: true, Why: "make a namespace for each run, and find those that were left"},
	{Resource: "serviceaccounts", Verbs: []string{"get"}, Namespaced: true, OwnNamespace: true, Why: "await the ServiceAccount of a new namespace"},
	{Resource: "pods", Verbs: []string{"create", "get", "list", "watch", "delete"}, Namespaced: true, Why: "run clients, server and agent"},
	{Resource: "pods", Subresource: "attach", Verbs: []string{"get", "create"}, Namespaced: true, Why: "talk to them"},
	{Resource: "services", Verbs: []string{"create", "get"}, Namespaced: true, Advisory: true, Why: "reach the server through a Service"},
	{Resource: "events", Verbs: []string{"list"}, Namespaced: true, Advisory: true, Why: "say why a Pod does not start"},
}

// MissingRight is a verb that this user may not use.
type MissingRight struct {
	Right
	Verb string
}

func (m MissingRight) String() string {
	resource := m.Resource
	if m.Subresource != "" {
		resource += "/" + m.Subresource
	}
	return fmt.Sprintf("%s %s (to %s)", m.Verb, resource, m.Why)
}

// listMissingRights asks for each right whether this user has it, in a namespace that may
// not exist yet.
func (c *Cluster) listMissingRights(ctx context.Context, namespace string) (missing []MissingRight, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for _, r := range Rights {
		if r.OwnNamespace && namespace != "" {
			continue
		}
		for _, verb := range r.Verbs {
			about := &authorizationv1.ResourceAttributes{Resource: r.Resource, Subresource: r.Subresource, Verb: verb}
			if r.Namespaced {
				about.Namespace = namespace
			}
			review, err := c.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: about},
			}, metav1.CreateOptions{})
			if err != nil {
				return nil, describeAPI("ask for the rights of this user", err)
			}
			if !review.Status.Allowed {
				missing = append(missing, MissingRight{r, verb})
			}
		}
	}
	return missing, nil
}

// describeMissing returns missing rights as a sentence. Of those that a run does without,
// it names none.
func describeMissing(all []MissingRight) string {
	all = slices.DeleteFunc(slices.Clone(all), func(m MissingRight) bool { return m.Advisory })
	var texts []string
	for _, m := range all {
		texts = append(texts, m.String())
	}
	return strings.Join(texts, "; ")
}
