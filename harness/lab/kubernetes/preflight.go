package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"snatlab/harness/machine"
)

// The names of preconditions.
const (
	clusterReached = "cluster"
	nodesFit       = "nodes"
	userRights     = "rights"
	podSecurity    = "namespace"
	probeImage     = "image"
	nodeKernel     = "kernel"
	nodeRules      = "rules"
)

// Preflight checks what a run in a cluster needs, and changes nothing in it. What only an
// agent on the node can see is checked when a run has started one.
func Preflight(ctx context.Context, access Access, c Config) (*Cluster, []machine.Precondition) {
	cluster, err := Connect(access)
	reached := machine.Precondition{Name: clusterReached}
	if err == nil {
		reached.Found = "at " + cluster.Address
	}
	var nodes []corev1.Node
	if err == nil {
		nodes, err = cluster.listNodes(ctx)
		if apierrors.IsForbidden(err) {
			err = nil // told below
		}
	}
	if err != nil {
		reached.State, reached.Found, reached.Remedy = machine.Unmet, err.Error(), "see --kubeconfig and --context"
		all := []machine.Precondition{reached}
		for _, name := range []string{userRights, nodesFit, podSecurity, probeImage, nodeKernel, nodeRules} {
			all = append(all, machine.Precondition{Name: name, State: machine.Unknown, Found: "no cluster to look at"})
		}
		return cluster, all
	}
	l := newKubernetesLab(cluster, c)
	all := []machine.Precondition{reached, cluster.checkRights(ctx, c.Namespace), l.checkNodes(nodes)}
	return cluster, append(all, l.checkPodSecurity(ctx), l.checkImage(), l.checkKernel(),
		machine.Precondition{Name: nodeRules, State: machine.Unknown, Found: "only an agent on the node can see them: a run looks, before it measures"})
}

func (c *Cluster) checkRights(ctx context.Context, namespace string) machine.Precondition {
	p := machine.Precondition{Name: userRights, Found: "all that a run needs"}
	missing, err := c.listMissingRights(ctx, namespace)
	switch {
	case err != nil:
		p.State, p.Found = machine.Unknown, err.Error()
	case describeMissing(missing) != "":
		p.State, p.Found = machine.Unmet, "this user may not "+describeMissing(missing)
		p.Remedy = "bind the ClusterRole of packaging/kubernetes to the user; see docs/kubernetes.md"
	}
	return p
}

// checkNodes chooses the nodes.
func (l *kubernetesLab) checkNodes(all []corev1.Node) (p machine.Precondition) {
	p = machine.Precondition{Name: nodesFit}
	if all == nil {
		p.State, p.Found = machine.Unknown, "they cannot be listed"
		return p
	}
	var err error
	if l.node, err = chooseNode(all, l.config.Node); err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "see `kubectl get nodes`"
		return p
	}
	p.Found = "clients on " + l.node.Name
	if l.config.Server.IsValid() {
		p.Found += fmt.Sprintf(", server at %v", l.config.Server)
		return p
	}
	if l.serverNode, err = chooseServerNode(all, l.node.Name); err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "a second node, or a server outside"
		return p
	}
	p.Found += ", server on " + l.serverNode
	return p
}

// checkPodSecurity asks the API whether it would admit the agent in the namespace that was
// named. A run's own namespace admits it.
func (l *kubernetesLab) checkPodSecurity(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: podSecurity, Found: "a run makes a namespace with the level privileged, for its agent"}
	if l.config.Namespace == "" || l.node == nil {
		return p
	}
	l.namespace = l.config.Namespace
	if err := l.cluster.checkNamespace(ctx, l.namespace); err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "see `kubectl get namespaces`"
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err := l.cluster.CoreV1().Pods(l.namespace).Create(ctx, l.agentPod("doctor"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		p.State, p.Found = machine.Unmet, err.Error()
		p.Remedy = "kubectl label namespace " + l.namespace + " pod-security.kubernetes.io/enforce=privileged, or leave --namespace out"
		return p
	}
	p.Found = "namespace " + l.namespace + " admits the agent"
	return p
}

// checkImage looks for the image among those that the node reports, which are the largest
// fifty by default.
func (l *kubernetesLab) checkImage() machine.Precondition {
	p := machine.Precondition{Name: probeImage, Found: l.config.Image, Advisory: true}
	if l.node == nil {
		p.State = machine.Unknown
		return p
	}
	has := func(i corev1.ContainerImage) bool {
		return slices.ContainsFunc(i.Names, func(n string) bool { return n == l.config.Image || strings.HasSuffix(n, "/"+l.config.Image) })
	}
	if !slices.ContainsFunc(l.node.Status.Images, has) {
		p.State, p.Found = machine.Unmet, l.config.Image+" is not among the images that node "+l.node.Name+" reports"
		p.Remedy = "if it is not there: snatlab image --output probe.tar, and on both nodes ctr -n k8s.io images import probe.tar"
	}
	return p
}

func (l *kubernetesLab) checkKernel() machine.Precondition {
	p := machine.Precondition{Name: nodeKernel, Advisory: true}
	if l.node == nil {
		p.State, p.Found = machine.Unknown, "no node was chosen"
		return p
	}
	p.Found = fmt.Sprintf("Linux %s on node %s", l.node.Status.NodeInfo.KernelVersion, l.node.Name)
	return p
}
