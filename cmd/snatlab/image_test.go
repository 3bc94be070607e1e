package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"snatlab/harness/lab/labtest"
)

// writeProbeImage writes the image of the program, and returns the archive and the name in
// it.
func writeProbeImage(t *testing.T) (archive, name string) {
	t.Helper()
	archive = filepath.Join(t.TempDir(), "probe.tar")
	out, err := exec.CommandContext(t.Context(), binary, "image", "--output", archive).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := regexp.MustCompile(`holds the image (\S+) for `).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no name: %s", out)
	}
	return archive, string(found[1])
}

// saysVersion matches what the program of these tests prints as its version.
var saysVersion = regexp.MustCompile(`^snatlab v0-test linux/`)

// An engine loads the archive, and the program runs in a container of it.
func TestImageInDocker(t *testing.T) {
	e := ownEngine(t)
	archive, name := writeProbeImage(t)
	file, err := os.Open(archive)
	must(t, err)
	defer file.Close()
	answer, err := e.ImageLoad(t.Context(), file, client.ImageLoadWithQuiet(true))
	must(t, err)
	said, err := io.ReadAll(answer.Body)
	must(t, err)
	must(t, answer.Body.Close())
	c, err := e.ContainerCreate(t.Context(), &container.Config{Image: name, Cmd: []string{"version"}},
		&container.HostConfig{NetworkMode: "none", ReadonlyRootfs: true, CapDrop: []string{"ALL"}}, nil, nil, "")
	if err != nil {
		t.Fatalf("%v; the engine said %s", err, said)
	}
	must(t, e.ContainerStart(t.Context(), c.ID, container.StartOptions{}))
	ended, failed := e.ContainerWait(t.Context(), c.ID, container.WaitConditionNotRunning)
	select {
	case <-ended:
	case err := <-failed:
		t.Fatal(err)
	}
	logs, err := e.ContainerLogs(t.Context(), c.ID, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	must(t, err)
	var out strings.Builder
	_, err = stdcopy.StdCopy(&out, &out, logs)
	must(t, err)
	if !saysVersion.MatchString(out.String()) {
		t.Errorf("the container said %q", out.String())
	}
}

// restrictedPod is a Pod of the image that PodSecurity allows at its strictest level.
const restrictedPod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "image", "namespace": "image-test"}, "spec": {
	"restartPolicy": "Never", "dnsPolicy": "Default", "automountServiceAccountToken": false,
	"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
	"containers": [{"name": "snatlab", "image": "IMAGE", "imagePullPolicy": "Never", "args": ["version"],
		"securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]}}`

// containerd imports the archive, and the program runs in a restricted Pod, without root.
func TestImageInKubernetes(t *testing.T) {
	c := labtest.RequireCluster(t)
	name := c.LoadImage(t, binary)
	t.Cleanup(func() {
		_ = exec.Command(os.Getenv("SNATLAB_CLUSTER"), "kubectl", "delete", "namespace", "image-test", "--wait=false").Run()
	})
	c.Kubectl(t, "create", "namespace", "image-test")
	c.Kubectl(t, "label", "namespace", "image-test", "pod-security.kubernetes.io/enforce=restricted")
	pod := filepath.Join(t.TempDir(), "pod.json")
	must(t, os.WriteFile(pod, []byte(strings.Replace(restrictedPod, "IMAGE", name, 1)), 0o600))
	c.Kubectl(t, "create", "-f", pod)
	c.Kubectl(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s", "--namespace=image-test", "pod/image")
	if out := c.Kubectl(t, "logs", "--namespace=image-test", "image"); !saysVersion.MatchString(out) {
		t.Errorf("the Pod said %q", out)
	}
}
