package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"snatlab/harness/lab/labtest"
)

// volume is a folder on each node, for the claim of the CronJob.
const volume = `{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "snatlab-data"}, "spec": {
	"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
	"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/var/snatlab-data"}}}`

// nameImage copies the manifests, with an image in place of the example.
func nameImage(t *testing.T, image string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	checkError(t, os.CopyFS(folder, os.DirFS(manifests)))
	repository, tag, ok := strings.Cut(image, ":")
	if !ok {
		t.Fatalf("image %q has no tag", image)
	}
	path := filepath.Join(folder, "kustomization.yaml")
	text := strings.Replace(readFile(t, path), "newName: registry.example/snatlab, newTag: latest", "newName: "+repository+", newTag: "+tag, 1)
	if !strings.Contains(text, tag) {
		t.Fatalf("the image is not set where it was expected:\n%s", text)
	}
	checkError(t, os.WriteFile(path, []byte(text), 0o600))
	return folder
}

// jobTime bounds a night on two nodes.
const jobTime = 5 * time.Minute

// awaitJob waits until a job has ended: a night that is inconclusive, on a busy machine,
// has ended as well.
func awaitJob(t *testing.T, c *labtest.Cluster, name string) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < jobTime; time.Sleep(time.Second) {
		conditions := c.Kubectl(t, "get", "job", "--namespace=snatlab", name, "-o", "jsonpath={.status.conditions[*].type}")
		if strings.Contains(conditions, "Complete") || strings.Contains(conditions, "Failed") {
			return
		}
	}
	t.Fatalf("the job has not ended after %v:\n%s", jobTime, c.Kubectl(t, "describe", "pods", "--namespace=snatlab"))
}

// A night in the cluster, with the rights of its service account and nothing else, runs the
// scenario on every node, keeps the results on the volume, and leaves nothing.
func TestKubernetesNight(t *testing.T) {
	c := labtest.RequireCluster(t)
	binary, err := buildProgram()
	checkError(t, err)
	image := c.LoadImage(t, binary)
	folder := nameImage(t, image)
	for _, node := range []string{"node1", "node2"} {
		c.Exec(t, node, "install", "-d", "-o", "65532", "-g", "65532", "/var/snatlab-data")
	}
	pv := filepath.Join(t.TempDir(), "volume.json")
	checkError(t, os.WriteFile(pv, []byte(volume), 0o600))
	t.Cleanup(func() {
		_ = exec.Command(os.Getenv("SNATLAB_CLUSTER"), "kubectl", "delete", "--ignore-not-found", "--timeout=60s", "-f", pv).Run()
	})
	c.Kubectl(t, "apply", "-f", pv)
	applyManifests(t, c, folder)

	c.Kubectl(t, "create", "job", "--namespace=snatlab", "--from=cronjob/snatlab-fleet", "now")
	awaitJob(t, c, "now")
	log := c.Kubectl(t, "logs", "--namespace=snatlab", "--tail=-1", "job/now")
	if last := regexp.MustCompile(`(?m)^(1|2) (ok|inconclusive).*$`).FindString(log); last == "" || strings.Contains(last, "error") {
		t.Errorf("the night said:\n%s", log)
	}
	for _, node := range []string{"node1", "node2"} {
		if !strings.Contains(log, "(kubernetes) on "+node) {
			t.Errorf("node %s is missing:\n%s", node, log)
		}
	}
	if pods := c.Kubectl(t, "get", "pods,leases", "--namespace=snatlab-lab", "-o", "name"); pods != "" {
		t.Errorf("left in the namespace of the runs: %s", pods)
	}
	for _, node := range []string{"node1", "node2"} {
		if rules := c.Exec(t, node, "iptables-save"); strings.Contains(rules, "snatlab") {
			t.Errorf("left on %s:\n%s", node, rules)
		}
	}
}
