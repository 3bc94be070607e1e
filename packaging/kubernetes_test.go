package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"snatlab/harness/lab/kubernetes"
	"snatlab/harness/lab/labtest"
)

// manifests is the folder of the files for a cluster.
const manifests = "kubernetes"

// object is as much of an object of Kubernetes as the tests look at.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Rules    []struct{ Resources, Verbs []string }
	Spec     struct {
		JobTemplate struct {
			Spec struct {
				Template struct {
					Spec struct{ Containers []struct{ Args []string } }
				}
			}
		} `yaml:"jobTemplate"`
	}
}

// readManifests returns the objects in all files of the folder, by their kinds and names.
func readManifests(t *testing.T) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, name := range listManifests(t) {
		for d := yaml.NewDecoder(strings.NewReader(readFile(t, filepath.Join(manifests, name)))); ; {
			var o object
			if err := d.Decode(&o); err != nil {
				break // the end: kustomize checks the syntax
			}
			all[o.Kind+" "+o.Metadata.Name] = o
		}
	}
	return all
}

// listManifests lists the files of the folder that hold objects.
func listManifests(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(manifests)
	checkError(t, err)
	for _, e := range entries {
		if e.Name() != "kustomization.yaml" {
			names = append(names, e.Name())
		}
	}
	return names
}

// Every file is part of what is applied.
func TestKustomizationIsComplete(t *testing.T) {
	var k struct{ Resources []string }
	checkError(t, yaml.Unmarshal([]byte(readFile(t, filepath.Join(manifests, "kustomization.yaml"))), &k))
	slices.Sort(k.Resources)
	if want := listManifests(t); !slices.Equal(k.Resources, want) {
		t.Errorf("resources %v, files %v", k.Resources, want)
	}
}

// grants returns the verbs of a role, as "list nodes".
func (o object) grants() (all []string) {
	for _, r := range o.Rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				all = append(all, verb+" "+resource)
			}
		}
	}
	return all
}

// needs returns the verbs of the rights that choose accepts, as "list nodes".
func needs(choose func(kubernetes.Right) bool) (all []string) {
	for _, r := range kubernetes.Rights {
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		for _, verb := range r.Verbs {
			if choose(r) {
				all = append(all, verb+" "+resource)
			}
		}
	}
	return all
}

// leases are the rights that a fleet needs beyond those of a run.
var leases = []string{"get leases", "create leases", "update leases", "delete leases"}

// The roles grant what the driver needs, and nothing else: the night's in its namespace,
// and that for people in a namespace of each run.
func TestRights(t *testing.T) {
	objects := readManifests(t)
	for name, want := range map[string][]string{
		"ClusterRole snatlab-nodes": needs(func(r kubernetes.Right) bool { return !r.OwnNamespace && !r.Namespaced }),
		"Role snatlab-lab":          append(needs(func(r kubernetes.Right) bool { return !r.OwnNamespace && r.Namespaced }), leases...),
		"ClusterRole snatlab-run":   append(needs(func(kubernetes.Right) bool { return true }), leases...),
	} {
		got := objects[name].grants()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-needed +granted):\n%s", name, diff)
		}
	}
}

// applyManifests makes the objects of a folder until the test ends.
func applyManifests(t *testing.T, c *labtest.Cluster, folder string) {
	t.Helper()
	folder, err := filepath.Abs(folder)
	checkError(t, err)
	t.Cleanup(func() {
		if out, err := exec.Command(os.Getenv("SNATLAB_CLUSTER"), "kubectl", "delete", "--ignore-not-found", "--timeout=60s", "-k", folder).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	c.Kubectl(t, "apply", "-k", folder)
}

// The API server accepts every object, and a night's Pod keeps to the PodSecurity level of
// its namespace. The image that is set once is that of the Pods of a run as well.
func TestKubernetesManifests(t *testing.T) {
	c := labtest.RequireCluster(t)
	applyManifests(t, c, manifests)
	job := c.Kubectl(t, "create", "job", "--from=cronjob/snatlab-fleet", "--namespace=snatlab", "--dry-run=server", "-o", "yaml", "try")
	if n := strings.Count(job, "registry.example/snatlab:latest"); n != 2 {
		t.Errorf("the image is named %d times:\n%s", n, job)
	}
	pod := podOf(t, job)
	if out, err := c.Try(t, "kubectl", "create", "--dry-run=server", "--namespace=snatlab", "-f", pod); err != nil || strings.Contains(out, "violate") {
		t.Errorf("the Pod of a night: %s, %v", out, err)
	}
}

// podOf writes the Pod of a job to a file.
func podOf(t *testing.T, job string) string {
	t.Helper()
	var j struct {
		Spec struct {
			Template struct{ Spec yaml.Node }
		}
	}
	checkError(t, yaml.Unmarshal([]byte(job), &j))
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]string{"name": "try"}, "spec": &j.Spec.Template.Spec,
	})
	checkError(t, err)
	path := filepath.Join(t.TempDir(), "pod.yaml")
	checkError(t, os.WriteFile(path, text, 0o600))
	return path
}

// The service account may do what a run needs, in the namespace for it, and no more.
func TestKubernetesRights(t *testing.T) {
	c := labtest.RequireCluster(t)
	applyManifests(t, c, manifests)
	for _, test := range []struct{ do, namespace, want string }{
		{"create pods", "snatlab-lab", "yes"},
		{"create pods --subresource=attach", "snatlab-lab", "yes"},
		{"delete pods", "snatlab-lab", "yes"},
		{"update leases.coordination.k8s.io", "snatlab-lab", "yes"},
		{"update leases.coordination.k8s.io", "kube-node-lease", "no"},
		{"list nodes", "", "yes"},
		{"get namespaces/snatlab-lab", "", "yes"},
		{"create pods", "snatlab", "no"},
		{"create pods", "kube-system", "no"},
		{"create pods --subresource=exec", "snatlab-lab", "no"},
		{"get secrets", "snatlab-lab", "no"},
		{"get secrets", "snatlab", "no"},
		{"create namespaces", "", "no"},
		{"delete namespaces/snatlab-lab", "", "no"},
		{"list namespaces", "", "no"},
		{"delete nodes", "", "no"},
		{"create clusterrolebindings.rbac.authorization.k8s.io", "", "no"},
	} {
		args := append([]string{"kubectl", "auth", "can-i", "--as=system:serviceaccount:snatlab:snatlab"}, strings.Fields(test.do)...)
		if test.namespace != "" {
			args = append(args, "--namespace="+test.namespace)
		}
		got, _ := c.Try(t, args...) // "no" is an exit code as well
		if got = strings.TrimSpace(got); got != test.want {
			t.Errorf("%s in %q: %s, want %s", test.do, test.namespace, got, test.want)
		}
	}
}
