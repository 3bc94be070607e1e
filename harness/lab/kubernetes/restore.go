package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"snatlab/harness/lab/router"
	"snatlab/harness/probe"
	"snatlab/harness/result"
	"snatlab/harness/undo"
)

// connectAgent starts an agent on the node of the clients and connects to it.
func (l *kubernetesLab) connectAgent(ctx context.Context) (*router.Session, error) {
	name := partAgent
	if l.agents > 0 {
		name = fmt.Sprintf("%s-%d", partAgent, l.agents)
	}
	l.agents++
	pod, err := l.cluster.runPod(ctx, l.agentPod(name))
	if err != nil {
		return nil, err
	}
	return router.Connect(ctx, l.openStream(pod), l.node.Name)
}

// restoreTime bounds the attempts to restore a node by another agent. An agent that lost
// its controller restores the node by itself, and holds the node's lock meanwhile.
const restoreTime = 90 * time.Second

// restoreNode has the agent restore the node. If the agent is gone, it starts another one
// that does.
func (l *kubernetesLab) restoreNode(ctx context.Context) error {
	if l.Session == nil || l.restored {
		return nil
	}
	err := l.Session.Restore(ctx)
	if err == nil || errors.As(err, new(*undo.LeftError)) {
		l.restored = err == nil
		return err
	}
	l.Say(fmt.Sprintf("the agent on node %s is gone: another one restores the node", l.node.Name))
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	for {
		err := l.replaceNamespace(ctx)
		var cleaned router.Cleaned
		if err == nil {
			cleaned, err = l.cleanNode(ctx, router.CleanupOrder{}, lockTime)
		}
		if err == nil {
			for _, what := range cleaned.Undone {
				l.Say("undone: " + what)
			}
			l.restored = true
			return nil
		}
		if ctx.Err() != nil || pause(ctx) != nil || errors.As(err, new(*undo.LeftError)) {
			return unknownNode(l.node.Name, err)
		}
	}
}

// replaceNamespace makes another namespace if somebody has deleted the one of the run: no
// Pod can be made in it any more.
func (l *kubernetesLab) replaceNamespace(ctx context.Context) error {
	if err := l.cluster.checkNamespace(ctx, l.namespace); err == nil || isAway(err) || ctx.Err() != nil {
		return nil
	}
	l.ownNamespaces = append(l.ownNamespaces, fmt.Sprintf("snatlab-%s-%d", l.config.Run, len(l.ownNamespaces)))
	return l.createNamespace(ctx)
}

// lockTime bounds the wait for the lock of a node whose agent is restoring it.
const lockTime = 30 * time.Second

// cleanNode starts an agent that undoes the journals of the node. It waits for another one
// that has the node's lock, for some time.
func (l *kubernetesLab) cleanNode(ctx context.Context, order router.CleanupOrder, wait time.Duration) (c router.Cleaned, err error) {
	session, err := l.connectAgent(ctx)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, session.HangUp()) }()
	c, err = session.Cleanup(ctx, order)
	for begun := time.Now(); errors.As(err, new(*probe.RefusedError)) && time.Since(begun) < wait && pause(ctx) == nil; {
		c, err = session.Cleanup(ctx, order)
	}
	if err != nil {
		return c, err
	}
	switch {
	case c.Left != nil:
		return c, router.LeftError(l.node.Name, c.Left)
	case c.Error != "":
		return c, fmt.Errorf("node %s: %s", l.node.Name, c.Error)
	}
	return c, nil
}

// unknownNode returns the error for a node of which it is unknown whether it is as it was.
func unknownNode(node string, err error) error {
	if left, ok := errors.AsType[*undo.LeftError](err); ok {
		return left
	}
	command := fmt.Sprintf("snatlab cleanup --driver %s --node %s", result.DriverKubernetes, node)
	step := undo.Step{What: "what the run changed on node " + node + " (its agent restores it by itself, unless it was killed)", Manual: command}
	return &undo.LeftError{Left: []undo.Left{{Step: step, Err: err}}, Host: "node " + node, Cleanup: command}
}

// listPods lists the Pods of a run.
func (c *Cluster) listPods(ctx context.Context, namespace, run string) ([]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	list, err := c.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: runLabel + "=" + run})
	if err != nil {
		return nil, describeAPI("list the Pods of namespace "+namespace, err)
	}
	return list.Items, nil
}

// tryBarrier returns an error if the API does not admit a client with the folder of the
// barrier. Nothing is made.
func (l *kubernetesLab) tryBarrier(ctx context.Context) error {
	file := l.BarrierFile
	l.BarrierFile = barrierFile
	pod := l.clientPod(0)
	l.BarrierFile = file
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	_, err := l.cluster.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return fmt.Errorf("the namespace does not allow clients a folder of the node: %s", strings.TrimSpace(err.Error()))
	}
	return nil
}
