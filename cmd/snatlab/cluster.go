package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"snatlab/harness/lab"
	"snatlab/harness/lab/kubernetes"
	"snatlab/harness/machine"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/images"
)

// clusterFlags choose a cluster, and where in it a lab is.
type clusterFlags struct {
	kubernetes.Access
	namespace string
	node      string
	image     string
}

// addCluster adds the flags to a command. What is on the node.
func (f *clusterFlags) addCluster(c *cobra.Command, onNode string) {
	c.Flags().StringVar(&f.Kubeconfig, "kubeconfig", "", "driver kubernetes: file that names the cluster (default $KUBECONFIG, ~/.kube/config, or the Pod's own)")
	c.Flags().StringVar(&f.Context, "context", "", "driver kubernetes: context of that file, instead of the current one")
	c.Flags().StringVar(&f.namespace, "namespace", "", "driver kubernetes: an existing namespace for the Pods (default: one is made, and deleted)")
	c.Flags().StringVar(&f.node, "node", "", "driver kubernetes: "+onNode)
	c.Flags().StringVar(&f.image, "image", "", "driver kubernetes: image of the Pods (default: that of snatlab image)")
}

// check refuses the flags of a cluster for another driver.
func (f clusterFlags) check(driver string) error {
	if driver == result.DriverKubernetes || f == (clusterFlags{}) {
		return nil
	}
	return fmt.Errorf("--kubeconfig, --context, --namespace, --node and --image are for driver %s, and this one is %s (--driver %[1]s)", result.DriverKubernetes, driver)
}

// imageName returns the image of the Pods: that of a flag, of the scenario, or of this
// program.
func (f clusterFlags) imageName(of string) (string, error) {
	if name := cmp.Or(f.image, of); name != "" {
		return name, nil
	}
	own, err := images.Open(lab.ThisBinary)
	if err != nil {
		return "", fmt.Errorf("the image of this program: %w (build it with `make build`, or name an image with --image)", err)
	}
	defer own.Close()
	return own.LocalName(), nil
}

// labConfig returns what a lab in the cluster is built from, apart from a run's own parts.
func (f clusterFlags) labConfig(s *scenario.Scenario) (c kubernetes.Config, err error) {
	c = kubernetes.Config{
		Namespace: f.namespace, Node: f.node, PullPolicy: cmp.Or(s.Kubernetes.PullPolicy, "IfNotPresent"), Clients: s.Clients, Protocol: s.Load.Protocol,
		Trials: s.MostTrials(), Control: s.HasControl(), Entries: s.MaxConnections(), Server: s.Server.Address, Service: s.DNAT.Backends > 0,
		Barrier: s.Load.Sync == result.SyncBarrier, Arms: s.Arms, Widen: idleRules(s),
	}
	c.Image, err = f.imageName(s.Kubernetes.Image)
	return c, err
}

// prepareKubernetes takes no lock on this machine: the agent takes the lock of its node.
func prepareKubernetes(ctx context.Context, s *scenario.Scenario, f clusterFlags) (*readyMachine, error) {
	config, err := f.labConfig(s)
	if err != nil {
		return nil, err
	}
	cluster, found := kubernetes.Preflight(ctx, f.Access, config)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := machine.RequireMet(found); err != nil {
		return nil, err
	}
	return &readyMachine{
		open: func(ctx context.Context, run string, keep bool, say func(string)) (lab.Keeper, error) {
			if keep {
				return nil, errors.New("a lab of driver kubernetes cannot be kept: its node is restored when its controller is gone (leave --keep out)")
			}
			config.Run, config.What, config.Say = run, describeController(s.Name, run), say
			return kubernetes.Open(ctx, cluster, config)
		},
		close: func() error { return nil },
	}, nil
}

// describeController names a run and who makes it, for others who want its node.
func describeController(scenario, run string) string {
	text := fmt.Sprintf("run %s of %s", run, scenario)
	if u, err := user.Current(); err == nil {
		text += " by " + u.Username
	}
	if host, err := os.Hostname(); err == nil {
		text += " at " + host
	}
	return text
}

// cleanupCluster restores the nodes of runs that are left in a cluster, and removes their
// objects.
func (f cleanupFlags) cleanupCluster(ctx context.Context) error {
	name, err := f.cluster.imageName("")
	if err != nil {
		return err
	}
	cluster, err := kubernetes.Connect(f.cluster.Access)
	if err != nil {
		return err
	}
	found, err := kubernetes.Cleanup(ctx, cluster, kubernetes.CleanupConfig{
		Namespace: f.cluster.namespace, Node: f.cluster.node, Image: name, Pull: "IfNotPresent", DryRun: f.dryRun, Force: f.force,
		Say: func(text string) { fmt.Println(text) },
	})
	if err == nil && !found {
		fmt.Println("nothing to undo")
	}
	return err
}

// examineCluster prints what a run in a cluster needs.
func examineCluster(ctx context.Context, f clusterFlags) ([]machine.Precondition, error) {
	config, err := f.labConfig(&scenario.Scenario{Clients: 2})
	if err != nil {
		return nil, err
	}
	_, found := kubernetes.Preflight(ctx, f.Access, config)
	return found, nil
}
