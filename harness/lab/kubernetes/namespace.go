package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// makeNamespace makes the namespace of the run, or checks the one that was named.
func (l *kubernetesLab) makeNamespace(ctx context.Context) error {
	if l.config.Namespace != "" {
		l.namespace = l.config.Namespace
		return l.cluster.checkNamespace(ctx, l.namespace)
	}
	l.ownNamespaces = []string{"snatlab-" + l.config.Run}
	return l.createNamespace(ctx)
}

// createNamespace creates the last of the run's own namespaces, for its Pods from now on.
func (l *kubernetesLab) createNamespace(ctx context.Context) error {
	name := l.ownNamespaces[len(l.ownNamespaces)-1]
	l.Say("making namespace " + name)
	l.namespace = name // before it exists: a request that is cut off may have been executed
	create := func(ctx context.Context) error {
		_, err := l.cluster.CoreV1().Namespaces().Create(ctx, runNamespace(name, l.config.Run, l.node.Name), metav1.CreateOptions{})
		return err
	}
	if err := patiently(ctx, create); err != nil && !apierrors.IsAlreadyExists(err) {
		return describeAPI("create namespace "+name, err)
	}
	return l.cluster.awaitAccount(ctx, name)
}

// runNamespace returns the namespace of a run. PodSecurity allows the agent in it.
func runNamespace(name, run, node string) *corev1.Namespace {
	const level = "privileged"
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			runLabel: run, "app.kubernetes.io/managed-by": "snatlab",
			"pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/audit": level, "pod-security.kubernetes.io/warn": level,
		},
		Annotations: map[string]string{nodeAnnotation: node},
	}}
}

// checkNamespace returns an error for a namespace that does not exist or is being deleted.
func (c *Cluster) checkNamespace(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	n, err := c.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("the cluster has no namespace %q", name)
	case err != nil:
		return describeAPI("look at namespace "+name, err)
	case n.DeletionTimestamp != nil || n.Status.Phase == corev1.NamespaceTerminating:
		return fmt.Errorf("namespace %s is being deleted: nothing can be made in it", name)
	}
	return nil
}

// accountTime bounds the wait for the ServiceAccount of a new namespace.
const accountTime = 30 * time.Second

// awaitAccount waits for the ServiceAccount that Pods of a new namespace have. No Pod can
// be made before the controller manager has made it.
func (c *Cluster) awaitAccount(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, accountTime, fmt.Errorf("it has no ServiceAccount after %v: does the controller manager run?", accountTime))
	defer cancel()
	for {
		err := patiently(ctx, func(ctx context.Context) error {
			_, err := c.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
			return err
		})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			return describeAPI("look for the ServiceAccount of namespace "+namespace, err)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("namespace %s: %w", namespace, err)
		}
	}
}

// deleteTime bounds the wait until what was deleted is gone.
const deleteTime = 90 * time.Second

// deleteRun deletes the Pods of a run and, if the run made it, their namespace, and waits
// until they are gone. What is gone already is no error.
func (c *Cluster) deleteRun(ctx context.Context, namespace, run string, own bool) error {
	if namespace == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deleteTime, fmt.Errorf("not gone after %v", deleteTime))
	defer cancel()
	err := c.deletePods(ctx, namespace, run)
	if own && err == nil {
		err = c.deleteNamespace(ctx, namespace, run)
	}
	if err != nil {
		return fmt.Errorf("remove run %s from the cluster: %w (`snatlab cleanup --driver kubernetes` tries again)", run, err)
	}
	return nil
}

// deletePods deletes the Pods of a run. They have ended, or end when their input does:
// nothing has to be waited for in them.
func (c *Cluster) deletePods(ctx context.Context, namespace, run string) error {
	pods := c.CoreV1().Pods(namespace)
	selector := metav1.ListOptions{LabelSelector: runLabel + "=" + run}
	deleted := map[string]bool{}
	for {
		var list *corev1.PodList
		err := patiently(ctx, func(ctx context.Context) (err error) {
			list, err = pods.List(ctx, selector)
			return err
		})
		if err != nil {
			return describeAPI("list the Pods of namespace "+namespace, err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		for _, p := range list.Items {
			if deleted[p.Name] {
				continue
			}
			err := patiently(ctx, func(ctx context.Context) error {
				return pods.Delete(ctx, p.Name, metav1.DeleteOptions{})
			})
			if err != nil && !apierrors.IsNotFound(err) {
				return describeAPI("delete Pod "+p.Name, err)
			}
			deleted[p.Name] = true
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("pods of namespace %s: %w", namespace, err)
		}
	}
}

// errForeign is the error for a namespace that no run has made.
var errForeign = errors.New("it has not the label of the run, so snatlab did not make it")

// deleteNamespace deletes the namespace of a run.
func (c *Cluster) deleteNamespace(ctx context.Context, name, run string) error {
	namespaces := c.CoreV1().Namespaces()
	for deleted := false; ; {
		var n *corev1.Namespace
		err := patiently(ctx, func(ctx context.Context) (err error) {
			n, err = namespaces.Get(ctx, name, metav1.GetOptions{})
			return err
		})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return describeAPI("look at namespace "+name, err)
		case n.Labels[runLabel] != run || run == "":
			return fmt.Errorf("namespace %s: %w", name, errForeign)
		}
		if !deleted {
			err := patiently(ctx, func(ctx context.Context) error { return namespaces.Delete(ctx, name, metav1.DeleteOptions{}) })
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return describeAPI("delete namespace "+name, err)
			}
			deleted = true
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
	}
}
