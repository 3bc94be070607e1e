package kubernetes

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	authorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	core "k8s.io/client-go/kubernetes/typed/core/v1"

	"snatlab/harness/lab/kubernetes/api"
)

// fakeAPI is client-go's fake set of clients as an API.
type fakeAPI struct{ set *fake.Clientset }

func (f fakeAPI) CoreV1() api.CoreV1 { return fakeCore{f.set.CoreV1()} }
func (f fakeAPI) AuthorizationV1() api.AuthorizationV1 {
	return fakeAuthorization{f.set.AuthorizationV1()}
}
func (f fakeAPI) CoordinationV1() api.CoordinationV1 { return fakeCoordination{f.set.CoordinationV1()} }

type (
	fakeCore          struct{ of core.CoreV1Interface }
	fakeAuthorization struct {
		of authorization.AuthorizationV1Interface
	}
	fakeCoordination struct {
		of coordination.CoordinationV1Interface
	}
)

func (f fakeCore) Nodes() api.Objects[*corev1.Node, *corev1.NodeList] { return f.of.Nodes() }
func (f fakeCore) Namespaces() api.Objects[*corev1.Namespace, *corev1.NamespaceList] {
	return f.of.Namespaces()
}
func (f fakeCore) Pods(namespace string) api.Objects[*corev1.Pod, *corev1.PodList] {
	return f.of.Pods(namespace)
}
func (f fakeCore) Services(namespace string) api.Objects[*corev1.Service, *corev1.ServiceList] {
	return f.of.Services(namespace)
}
func (f fakeCore) Events(namespace string) api.Objects[*corev1.Event, *corev1.EventList] {
	return f.of.Events(namespace)
}
func (f fakeCore) ServiceAccounts(namespace string) api.Objects[*corev1.ServiceAccount, *corev1.ServiceAccountList] {
	return f.of.ServiceAccounts(namespace)
}
func (f fakeCoordination) Leases(namespace string) api.Objects[*coordinationv1.Lease, *coordinationv1.LeaseList] {
	return f.of.Leases(namespace)
}
func (f fakeAuthorization) SelfSubjectAccessReviews() api.Reviews {
	return f.of.SelfSubjectAccessReviews()
}
