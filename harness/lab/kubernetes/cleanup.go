package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"snatlab/harness/lab"
	"snatlab/harness/lab/router"
	"snatlab/harness/probe"
)

// CleanupConfig is what to clean up.
type CleanupConfig struct {
	Namespace string // only this one; empty: all
	Node      string // restore this node as well, even if no object names it
	Image     string
	Pull      string
	DryRun    bool
	Force     bool // also what an active run has made
	Say       func(string)
}

// leftRun is what a run has left in a namespace.
type leftRun struct {
	namespace, run string
	own            bool // the run made the namespace
	node           string
	pods           []string
}

// Cleanup restores the nodes of runs whose objects are left in the cluster, and then
// deletes these objects. It reports whether there was anything.
func Cleanup(ctx context.Context, cluster *Cluster, c CleanupConfig) (found bool, err error) {
	runs, err := cluster.listRuns(ctx, c.Namespace)
	if err != nil {
		return false, err
	}
	nodes := map[string]bool{}
	if c.Node != "" {
		nodes[c.Node] = true
	}
	for _, r := range runs {
		found = true
		if r.node != "" {
			nodes[r.node] = true
		}
		if c.DryRun {
			c.Say(fmt.Sprintf("would remove run %s from namespace %s: %d Pods", r.run, r.namespace, len(r.pods)))
		}
	}
	var errs []error
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		undone, err := cluster.cleanNode(ctx, node, c)
		for _, what := range undone {
			found = true
			c.Say(fmt.Sprintf("node %s: %s: %s", node, map[bool]string{true: "would undo", false: "undone"}[c.DryRun], what))
		}
		if err != nil {
			errs = append(errs, describeUnclean(node, err))
			runs = slices.DeleteFunc(runs, func(r leftRun) bool { return r.node == node }) // they show where something is left
		}
	}
	for _, r := range runs {
		if c.DryRun {
			break
		}
		c.Say(fmt.Sprintf("removing run %s from namespace %s", r.run, r.namespace))
		errs = append(errs, cluster.deleteRun(ctx, r.namespace, r.run, r.own))
	}
	return found, errors.Join(errs...)
}

// describeUnclean returns the error for a node that was not cleaned up. One that is in use
// is no loss: its run restores it.
func describeUnclean(node string, err error) error {
	if errors.As(err, new(*probe.RefusedError)) {
		return fmt.Errorf("%w (wait until the run ends, or undo its changes anyway with --force)", err)
	}
	return unknownNode(node, err)
}

// cleanNode makes a run of its own that has only an agent, and undoes the journals of a
// node.
func (c *Cluster) cleanNode(ctx context.Context, node string, config CleanupConfig) (undone []string, err error) {
	all, err := c.listNodes(ctx)
	if err != nil {
		return nil, err
	}
	l := newKubernetesLab(c, Config{
		Run: "cleanup-" + time.Now().UTC().Format("20060102-150405"), Namespace: config.Namespace, Node: node, Image: config.Image, PullPolicy: config.Pull, Say: config.Say,
	})
	if l.node, err = chooseNode(all, node); err != nil {
		return nil, err
	}
	var cleaned router.Cleaned
	err = lab.BuildLab(ctx, l.Close, l.makeNamespace, func(ctx context.Context) (err error) {
		cleaned, err = l.cleanNode(ctx, router.CleanupOrder{Force: config.Force, DryRun: config.DryRun}, 0)
		return err
	})
	if err == nil {
		err = l.Close(ctx)
	}
	return cleaned.Undone, err
}

// listRuns lists what runs have left: namespaces that they made, and Pods.
func (c *Cluster) listRuns(ctx context.Context, namespace string) ([]leftRun, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	labelled := metav1.ListOptions{LabelSelector: runLabel}
	runs := map[[2]string]*leftRun{}
	if namespace == "" {
		namespaces, err := c.CoreV1().Namespaces().List(ctx, labelled)
		if err != nil {
			return nil, describeAPI("list the namespaces of runs", err)
		}
		for _, n := range namespaces.Items {
			run := n.Labels[runLabel]
			runs[[2]string{n.Name, run}] = &leftRun{namespace: n.Name, run: run, own: true, node: n.Annotations[nodeAnnotation]}
		}
	}
	pods, err := c.CoreV1().Pods(namespace).List(ctx, labelled)
	if err != nil {
		return nil, describeAPI("list the Pods of runs", err)
	}
	for _, p := range pods.Items {
		key := [2]string{p.Namespace, p.Labels[runLabel]}
		if runs[key] == nil {
			runs[key] = &leftRun{namespace: p.Namespace, run: key[1], node: p.Annotations[nodeAnnotation]}
		}
		runs[key].pods = append(runs[key].pods, p.Name)
	}
	var all []leftRun
	for _, key := range slices.SortedFunc(maps.Keys(runs), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		all = append(all, *runs[key])
	}
	return all, nil
}
