package kubernetes

import (
	"net/netip"

	authorizationv1 "k8s.io/api/authorization/v1"
	clienttest "k8s.io/client-go/testing"
)

// review answers whether a user may do something.
func review(action clienttest.Action, denied map[string]bool) *authorizationv1.SelfSubjectAccessReview {
	r := action.(clienttest.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
	about := r.Spec.ResourceAttributes
	what := about.Verb + " " + about.Resource
	if about.Subresource != "" {
		what += "/" + about.Subresource
	}
	r.Status.Allowed = !denied[what]
	return r
}

func addrPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 9) }
