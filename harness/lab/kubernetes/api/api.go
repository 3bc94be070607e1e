// Package api is the part of a cluster's API that snatlab uses, without the types of all
// others, and says why a Pod does not run.
package api

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// API is the part of a cluster's API that snatlab uses. The names are those of client-go's
// set of clients, whose fake the tests use. The set itself registers the types of every API
// group when a program starts, which would take 10 MB of memory in each probe.
type API interface {
	CoreV1() CoreV1
	AuthorizationV1() AuthorizationV1
	CoordinationV1() CoordinationV1
}

// CoreV1 is the API group of nodes and Pods.
type CoreV1 interface {
	Nodes() Objects[*corev1.Node, *corev1.NodeList]
	Namespaces() Objects[*corev1.Namespace, *corev1.NamespaceList]
	Pods(namespace string) Objects[*corev1.Pod, *corev1.PodList]
	Services(namespace string) Objects[*corev1.Service, *corev1.ServiceList]
	Events(namespace string) Objects[*corev1.Event, *corev1.EventList]
	ServiceAccounts(namespace string) Objects[*corev1.ServiceAccount, *corev1.ServiceAccountList]
}

// CoordinationV1 is the API group of Leases.
type CoordinationV1 interface {
	Leases(namespace string) Objects[*coordinationv1.Lease, *coordinationv1.LeaseList]
}

// AuthorizationV1 is the API group that answers what a user may do.
type AuthorizationV1 interface {
	SelfSubjectAccessReviews() Reviews
}

// Objects are those of one kind, in a namespace if the kind has them.
type Objects[Object, List any] interface {
	Create(context.Context, Object, metav1.CreateOptions) (Object, error)
	Update(context.Context, Object, metav1.UpdateOptions) (Object, error)
	Get(context.Context, string, metav1.GetOptions) (Object, error)
	List(context.Context, metav1.ListOptions) (List, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
	Delete(context.Context, string, metav1.DeleteOptions) error
}

// Reviews are questions about the rights of this user.
type Reviews interface {
	Create(context.Context, *authorizationv1.SelfSubjectAccessReview, metav1.CreateOptions) (*authorizationv1.SelfSubjectAccessReview, error)
}

// Parameters is the form of the options of requests.
var Parameters = runtime.NewParameterCodec(types)

// types are the API groups that this package knows.
var types = newTypes()

func newTypes() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme, authorizationv1.AddToScheme} {
		if err := add(s); err != nil {
			panic(fmt.Sprintf("types of the API: %v", err)) // two groups with one name
		}
	}
	return s
}

// Clients implement API over HTTP.
type Clients struct{ core, authorization, coordination rest.Interface }

// NewClients returns clients that share connections. They send no request yet.
func NewClients(config *rest.Config) (c Clients, err error) {
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return c, err
	}
	for _, group := range []struct {
		client  *rest.Interface
		path    string
		version schema.GroupVersion
	}{
		{&c.core, "/api", corev1.SchemeGroupVersion},
		{&c.authorization, "/apis", authorizationv1.SchemeGroupVersion},
		{&c.coordination, "/apis", coordinationv1.SchemeGroupVersion},
	} {
		own := rest.CopyConfig(config)
		own.APIPath, own.GroupVersion = group.path, &group.version
		own.NegotiatedSerializer = serializer.NewCodecFactory(types).WithoutConversion()
		if *group.client, err = rest.RESTClientForConfigAndClient(own, transport); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Core sends requests to the API group of Pods that Objects has no method for.
func (c Clients) Core() rest.Interface { return c.core }

func (c Clients) CoreV1() CoreV1                   { return coreV1{c.core} }
func (c Clients) AuthorizationV1() AuthorizationV1 { return authorizationV1{c.authorization} }
func (c Clients) CoordinationV1() CoordinationV1   { return coordinationV1{c.coordination} }

type (
	coreV1          struct{ rest.Interface }
	authorizationV1 struct{ rest.Interface }
	coordinationV1  struct{ rest.Interface }
)

func (c coreV1) Nodes() Objects[*corev1.Node, *corev1.NodeList] {
	return objectsOf[corev1.Node, corev1.NodeList](c, "nodes", "")
}

func (c coreV1) Namespaces() Objects[*corev1.Namespace, *corev1.NamespaceList] {
	return objectsOf[corev1.Namespace, corev1.NamespaceList](c, "namespaces", "")
}

func (c coreV1) Pods(namespace string) Objects[*corev1.Pod, *corev1.PodList] {
	return objectsOf[corev1.Pod, corev1.PodList](c, "pods", namespace)
}

func (c coreV1) Services(namespace string) Objects[*corev1.Service, *corev1.ServiceList] {
	return objectsOf[corev1.Service, corev1.ServiceList](c, "services", namespace)
}

func (c coreV1) Events(namespace string) Objects[*corev1.Event, *corev1.EventList] {
	return objectsOf[corev1.Event, corev1.EventList](c, "events", namespace)
}

func (c coreV1) ServiceAccounts(namespace string) Objects[*corev1.ServiceAccount, *corev1.ServiceAccountList] {
	return objectsOf[corev1.ServiceAccount, corev1.ServiceAccountList](c, "serviceaccounts", namespace)
}

func (c coordinationV1) Leases(namespace string) Objects[*coordinationv1.Lease, *coordinationv1.LeaseList] {
	return objectsOf[coordinationv1.Lease, coordinationv1.LeaseList](c, "leases", namespace)
}

func (c authorizationV1) SelfSubjectAccessReviews() Reviews {
	return objectsOf[authorizationv1.SelfSubjectAccessReview, metav1.List](c, "selfsubjectaccessreviews", "")
}

// pointer is a pointer to a type of the API.
type pointer[T any] interface {
	*T
	runtime.Object
}

// objects implements Objects. It is what client-go's package gentype does, without server-side
// apply, for which that one imports the schemas of all types.
type objects[T, L any, P pointer[T], PL pointer[L]] struct {
	api                 rest.Interface
	resource, namespace string
}

func objectsOf[T, L any, P pointer[T], PL pointer[L]](api rest.Interface, resource, namespace string) objects[T, L, P, PL] {
	return objects[T, L, P, PL]{api, resource, namespace}
}

// on addresses a request to the objects.
func (o objects[T, L, P, PL]) on(r *rest.Request, options runtime.Object) *rest.Request {
	return r.NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource).VersionedParams(options, Parameters)
}

func (o objects[T, L, P, PL]) Create(ctx context.Context, object P, options metav1.CreateOptions) (P, error) {
	made := P(new(T))
	err := o.on(o.api.Post(), &options).Body(object).Do(ctx).Into(made)
	return made, err
}

func (o objects[T, L, P, PL]) Update(ctx context.Context, object P, options metav1.UpdateOptions) (P, error) {
	name, err := meta.NewAccessor().Name(object)
	if err != nil {
		return nil, err
	}
	updated := P(new(T))
	err = o.on(o.api.Put(), &options).Name(name).Body(object).Do(ctx).Into(updated)
	return updated, err
}

func (o objects[T, L, P, PL]) Get(ctx context.Context, name string, options metav1.GetOptions) (P, error) {
	found := P(new(T))
	err := o.on(o.api.Get(), &options).Name(name).Do(ctx).Into(found)
	return found, err
}

func (o objects[T, L, P, PL]) List(ctx context.Context, options metav1.ListOptions) (PL, error) {
	found := PL(new(L))
	err := o.on(o.api.Get(), &options).Do(ctx).Into(found)
	return found, err
}

func (o objects[T, L, P, PL]) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	return o.on(o.api.Get(), &options).Watch(ctx)
}

func (o objects[T, L, P, PL]) Delete(ctx context.Context, name string, options metav1.DeleteOptions) error {
	return o.api.Delete().NamespaceIfScoped(o.namespace, o.namespace != "").Resource(o.resource).Name(name).Body(&options).Do(ctx).Error()
}
