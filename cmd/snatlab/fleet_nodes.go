package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/lab/kubernetes"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// nodeFlags choose the nodes of a fleet.
type nodeFlags struct {
	selector string
	leases   string // the namespace of the Leases
}

// defaultLeases is the namespace of the Leases if none is named.
const defaultLeases = "default"

// addNodes adds the flags to a command. When is the start of their help: with which flag
// they are valid.
func (f *nodeFlags) addNodes(c *cobra.Command, when string) {
	c.Flags().StringVar(&f.selector, "nodes", "", when+"label selector of the nodes, like pool=web (default: all nodes)")
	c.Flags().StringVar(&f.leases, "leases", defaultLeases, when+"namespace of the Leases of nodes; the same for all fleets of a cluster")
}

// clusterNodes are the nodes of a cluster that a command runs scenarios on.
type clusterNodes struct {
	nodes   []string
	cluster *kubernetes.Cluster
	flags   clusterFlags
	leases  string
	command string
}

// connect connects to the cluster, and lists the nodes.
func (f nodeFlags) connect(ctx context.Context, at clusterFlags, command string) (*clusterNodes, error) {
	cluster, err := kubernetes.Connect(at.Access)
	if err != nil {
		return nil, err
	}
	nodes, err := cluster.ListNodes(ctx, f.selector)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("no node matches the selector %q (see kubectl get nodes --show-labels)", f.selector)
	}
	return &clusterNodes{nodes, cluster, at, f.leases, command}, nil
}

// run runs a scenario on a node, under the Lease of the node.
func (n *clusterNodes) run(ctx context.Context, s *scenario.Scenario, node string, watch matrix.RunWatcher) (r *result.Result, err error) {
	lease, ctx, err := n.cluster.TakeLease(ctx, n.leases, node, describeController(s.Name, n.command))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lease.Release(ctx)) }()
	at := n.flags
	at.node = node
	ready, err := prepareKubernetes(ctx, s, at)
	if err != nil {
		return nil, err
	}
	return ready.runScenario(ctx, s, watch, n.command)
}
