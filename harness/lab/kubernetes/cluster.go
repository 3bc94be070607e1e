package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"snatlab/harness/lab/kubernetes/api"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a connection to a cluster.
type Cluster struct {
	api.API
	Address string // of its API server
	attach  attachFunc
}

// Access is how to reach a cluster.
type Access struct {
	Kubeconfig string // file; empty: $KUBECONFIG, ~/.kube/config, or that of the Pod that this program runs in
	Context    string // of that file; empty: its current one
}

// requestTime bounds one request to the API, except for those that watch or attach.
const requestTime = 20 * time.Second

// Connect returns a connection to a cluster. It sends no request yet.
func Connect(a Access) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w (see --kubeconfig, --context and $KUBECONFIG)", err)
	}
	config.UserAgent = "snatlab"
	config.QPS, config.Burst = 50, 100 // of one run: the default delays the start of many clients
	c, err := api.NewClients(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster at %s: %w", config.Host, err)
	}
	return &Cluster{API: c, Address: config.Host, attach: attachTo(config, c.Core())}, nil
}

// runLabel is the label of everything that a run makes in a cluster. Its value is the
// run's id.
const runLabel = "snatlab.run"

// nodeAnnotation is on the namespace of a run, and on Pods. Its value is the node that the
// run changes.
const nodeAnnotation = "snatlab.node"

// describeAPI returns the error of a request with what to do about it.
func describeAPI(what string, err error) error {
	var network net.Error
	var requested *url.Error
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w (see docs/kubernetes.md for the rights that a run needs, and `snatlab doctor --driver kubernetes` for those that are missing)", what, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: the API server does not know this user: %w (is the kubeconfig still valid?)", what, err)
	case errors.As(err, &requested), errors.As(err, &network):
		return fmt.Errorf("%s: the API server does not answer: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isAway reports whether the API server did not answer, or asked to come back later: it
// may be restarting.
func isAway(err error) bool {
	var network net.Error
	var requested *url.Error
	return errors.As(err, &requested) || errors.As(err, &network) || apierrors.IsServerTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}

// patiently repeats a request until it succeeds or fails for another reason than that the
// API server is away, or until ctx ends.
func patiently(ctx context.Context, do func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, requestTime)
		err := do(one)
		cancel()
		if err == nil || !isAway(err) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		select {
		case <-time.After(500 * time.Millisecond): // there is no event to wait for
		case <-ctx.Done():
			return err
		}
	}
}

// listNodes lists the nodes.
func (c *Cluster) listNodes(ctx context.Context) ([]corev1.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	list, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, describeAPI("list the nodes of the cluster at "+c.Address, err)
	}
	return list.Items, nil
}

// joinNames returns names as a list in a sentence.
func joinNames(names []string) string { return strings.Join(names, ", ") }
