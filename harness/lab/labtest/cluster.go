package labtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Cluster is the Kubernetes cluster of tests: that of tools/cluster, on this machine.
type Cluster struct {
	Kubeconfig string // of its administrator
	script     string
}

// RequireCluster returns the cluster that `make test-kubernetes` has started, and reserves
// this machine until the test ends. Without a cluster it skips the test.
func RequireCluster(t *testing.T) *Cluster {
	t.Helper()
	c := &Cluster{Kubeconfig: os.Getenv("SNATLAB_KUBECONFIG"), script: os.Getenv("SNATLAB_CLUSTER")}
	if testing.Short() || c.Kubeconfig == "" || c.script == "" {
		t.Skip("needs a cluster: make test-kubernetes")
	}
	TakeMachine(t)
	return c
}

// Run runs a command of tools/cluster/cluster, and returns what it printed. If it fails,
// the test fails.
func (c *Cluster) Run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.Try(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try runs a command that may fail. Its error has what it wrote to standard error.
func (c *Cluster) Try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.script, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("cluster %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), err
}

// Kubectl runs kubectl as administrator.
func (c *Cluster) Kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return c.Run(t, append([]string{"kubectl"}, args...)...)
}

// Exec runs a command on a machine of the cluster: "node1", "control", "outside".
func (c *Cluster) Exec(t *testing.T, machine string, command ...string) string {
	t.Helper()
	return c.Run(t, append([]string{"exec", machine}, command...)...)
}

// imageName finds the name in what `snatlab image` prints.
var imageName = regexp.MustCompile(`holds the image (\S+) for `)

// LoadImage imports the image of a binary of snatlab on each node, under its default name,
// which it returns.
func (c *Cluster) LoadImage(t *testing.T, binary string) (name string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "probe.tar")
	out, err := exec.CommandContext(t.Context(), binary, "image", "--output", archive).CombinedOutput()
	found := imageName.FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("%s image: %v: %s", binary, err, out)
	}
	c.Run(t, "load", archive)
	return string(found[1])
}
