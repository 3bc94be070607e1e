package kubernetes

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"snatlab/harness/lab"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// serviceTime bounds the wait until the node translates the address of a Service: the
// controllers list its endpoints, and kube-proxy or what replaces it writes its rules.
const serviceTime = 30 * time.Second

// makeService makes a Service of the run, whose only backend is the server, and has the
// clients connect to its ClusterIP. It belongs to the server's Pod: the cluster deletes it
// with the Pod.
func (l *kubernetesLab) makeService(ctx context.Context) error {
	if !l.config.Service {
		return nil
	}
	l.Say("making a Service")
	var made *corev1.Service
	err := patiently(ctx, func(ctx context.Context) (err error) {
		made, err = l.cluster.CoreV1().Services(l.namespace).Create(ctx, l.newService(), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) { // a repeated request finds the Service of the first one
			made, err = l.cluster.CoreV1().Services(l.namespace).Get(ctx, l.newService().Name, metav1.GetOptions{})
		}
		return err
	})
	if err != nil {
		return describeAPI("make a Service", err)
	}
	address, err := netip.ParseAddr(made.Spec.ClusterIP)
	if err != nil || !address.Is4() {
		return fmt.Errorf("the ClusterIP %q of Service %s is not an IPv4 address", made.Spec.ClusterIP, made.Name)
	}
	server, clients := l.Addresses()
	l.backend = server
	l.SetAddresses(address, clients)
	return nil
}

// newService returns a Service with every port that a trial may have, each of which leads to
// the same port of the server.
func (l *kubernetesLab) newService() *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: l.serverRunning.Name, Namespace: l.namespace, Labels: l.serverRunning.Labels, Annotations: l.serverRunning.Annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: l.serverRunning.Name, UID: l.serverRunning.UID}},
		},
		Spec: corev1.ServiceSpec{Selector: map[string]string{runLabel: l.config.Run, partLabel: partServer}},
	}
	protocol := corev1.ProtocolTCP
	if l.config.Protocol == result.UDP {
		protocol = corev1.ProtocolUDP
	}
	first, last := lab.PortsOf(l.config.Trials)
	for port := first; port <= last; port++ {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: "port-" + strconv.Itoa(port), Protocol: protocol, Port: int32(port), TargetPort: intstr.FromInt32(int32(port)),
		})
	}
	return s
}

// awaitService waits until a connection of the first client reaches the server through the
// Service, and returns the source ports of those that were tried.
func (l *kubernetesLab) awaitService(ctx context.Context, at netip.AddrPort) (tried []scenario.PortRange, err error) {
	if !l.config.Service {
		return nil, nil
	}
	l.Say("waiting for the Service")
	for begun := time.Now(); ; {
		report, err := l.Clients()[0].Run(ctx, probe.ClientLoad{Protocol: l.Protocol, Server: at, Requests: 1, Timeout: connectTime, Concurrency: 1})
		if err != nil {
			return tried, err
		}
		tried = append(tried, report.Ports...)
		switch {
		case report.Succeeded > 0:
			return tried, nil
		case time.Since(begun) > serviceTime:
			return tried, fmt.Errorf("no connection to the Service at %v reached the server in %v (does kube-proxy, or what replaces it, run on node %s?)", at, serviceTime, l.node.Name)
		}
		if err := pause(ctx); err != nil {
			return tried, err
		}
	}
}

// describeService returns the Service for the result; nil if there is none.
func (l *kubernetesLab) describeService() *result.Service {
	if !l.config.Service {
		return nil
	}
	address, _ := l.Addresses()
	return &result.Service{Address: address.String(), Backends: []string{l.backend.String()}}
}
