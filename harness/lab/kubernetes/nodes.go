package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// chooseNodes chooses the node of the clients and, unless the server is outside the
// cluster, that of the server.
func (l *kubernetesLab) chooseNodes(ctx context.Context) error {
	l.Say("choosing the nodes")
	all, err := l.cluster.listNodes(ctx)
	if err != nil {
		return err
	}
	if l.node, err = chooseNode(all, l.config.Node); err != nil || l.config.Server.IsValid() {
		return err
	}
	l.serverNode, err = chooseServerNode(all, l.node.Name)
	return err
}

// chooseNode returns the node with this name or, without a name, the first one that Pods
// can be on.
func chooseNode(all []corev1.Node, name string) (*corev1.Node, error) {
	slices.SortFunc(all, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	var names, why []string
	for i := range all {
		problem := describeUnfit(&all[i])
		switch {
		case name == all[i].Name && problem != "":
			return nil, fmt.Errorf("node %s %s", name, problem)
		case name == all[i].Name, name == "" && problem == "":
			return &all[i], nil
		}
		names = append(names, all[i].Name)
		why = append(why, all[i].Name+" "+problem)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("the cluster has no nodes")
	case name == "":
		return nil, fmt.Errorf("no node can have the clients: %s (name one with --node)", strings.Join(why, "; "))
	}
	return nil, fmt.Errorf("the cluster has no node %q; it has %s", name, joinNames(names))
}

// chooseServerNode returns a node that is not that of the clients.
func chooseServerNode(all []corev1.Node, clients string) (string, error) {
	var why []string
	for i := range all {
		if all[i].Name == clients {
			continue
		}
		problem := describeUnfit(&all[i])
		if problem == "" {
			return all[i].Name, nil
		}
		why = append(why, all[i].Name+" "+problem)
	}
	reason := "the cluster has no other node"
	if why != nil {
		reason = strings.Join(why, "; ")
	}
	return "", fmt.Errorf("no second node for the server (%s), and connections between Pods of one node are not translated: run `snatlab serve` outside the cluster, and name it in the scenario (server: {address: ...})", reason)
}

// describeUnfit returns why a Pod without tolerations cannot be on a node; empty if it can.
func describeUnfit(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return fmt.Sprintf("is not ready: %s", c.Message)
		}
	}
	if n.Spec.Unschedulable {
		return "is cordoned (kubectl uncordon " + n.Name + ")"
	}
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectPreferNoSchedule {
			return fmt.Sprintf("has the taint %s, which the Pods of a run do not tolerate", t.ToString())
		}
	}
	if os := n.Status.NodeInfo.OperatingSystem; os != "" && os != "linux" {
		return "runs " + os
	}
	return ""
}
