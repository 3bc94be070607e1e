package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/google/go-cmp/cmp"

	"snatlab/harness/undo"
)

// Root undoes a journal with steps that snatlab did not write.

// makeImage builds an image with labels, which is removed when the test ends.
func (r *rig) makeImage(name string, labels map[string]string) {
	r.t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	const recipe = "FROM scratch\nCOPY Dockerfile /\n"
	_ = w.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(recipe))})
	_, _ = w.Write([]byte(recipe))
	_ = w.Close()
	answer, err := r.docker.ImageBuild(r.t.Context(), &archive, build.ImageBuildOptions{Tags: []string{name}, Labels: labels, Version: build.BuilderV1, Remove: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	said := new(bytes.Buffer)
	_, _ = said.ReadFrom(answer.Body)
	r.t.Cleanup(func() {
		_, _ = r.docker.ImageRemove(context.Background(), name, image.RemoveOptions{PruneChildren: true})
	})
	if !r.hasImage(name) {
		r.t.Fatalf("no image was built: %s", said)
	}
}

func (r *rig) hasImage(name string) bool {
	_, err := r.docker.ImageInspect(context.Background(), name)
	return err == nil
}

// makeNetwork makes a network with labels, which is removed when the test ends.
func (r *rig) makeNetwork(name string, labels map[string]string) {
	r.t.Helper()
	made, err := r.docker.NetworkCreate(r.t.Context(), name, dockernet.CreateOptions{Driver: "bridge", Labels: labels})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = r.docker.NetworkRemove(context.Background(), made.ID) })
}

// makeContainer makes a container of an image, and returns its id. It is removed when
// the test ends.
func (r *rig) makeContainer(of, name string, labels map[string]string) (id string) {
	r.t.Helper()
	made, err := r.docker.ContainerCreate(r.t.Context(), &container.Config{Image: of, Cmd: []string{"none"}, Labels: labels}, nil, nil, nil, name)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = r.docker.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	})
	return made.ID
}

// step returns a step of a kind for the engine of the test.
func (r *rig) step(kind, run, name string) undo.Step {
	return undo.NewStep(kind, "a step", "true", engineObject{r.docker.DaemonHost(), run, name})
}

const (
	theirImage     = "test-theirs:1"
	theirContainer = "test-theirs-container"
	theirNetwork   = "test-theirs-network"
)

// A step that no run writes is refused, and removes nothing.
func TestForgedSteps(t *testing.T) {
	r := realEngine(t)
	r.makeImage(theirImage, nil)
	r.makeImage("snatlab-probe:0123456789ab", nil) // our name, and none of ours
	id := r.makeContainer(theirImage, theirContainer, nil)
	r.makeContainer(theirImage, "snatlab-other-client-0", nil)                                   // our form, no label
	r.makeContainer(theirImage, "snatlab-mine-client-0", map[string]string{runLabel: "another"}) // the label of another run
	r.makeNetwork(theirNetwork, nil)
	r.makeNetwork("snatlab-other-clients", nil)
	before := r.state()
	const wrote = ", so snatlab did not write this step"
	for _, test := range []struct{ name, kind, run, object, err string }{
		{"a container without a run", KindContainer, "", theirContainer, `refuse to remove "` + theirContainer + `": the step names no run, so snatlab did not write it`},
		{"a container of another name", KindContainer, "run", theirContainer, `refuse to remove "` + theirContainer + `": run "run" makes nothing of that name` + wrote},
		{"a container by the start of its id", KindContainer, "run", id[:12], fmt.Sprintf("refuse to remove %q: run \"run\" makes nothing of that name"+wrote, id[:12])},
		{"a container by its id", KindContainer, "run", id, ""},
		{"a container of our form", KindContainer, "other", "snatlab-other-client-0", ""},
		{"a container of another run", KindContainer, "mine", "snatlab-mine-client-0", ""},
		{"a path for a container", KindContainer, "run", "snatlab-run-client-0/../../x", `refuse to remove "snatlab-run-client-0/../../x": run "run" makes nothing of that name` + wrote},
		{"a name with terminal control codes", KindContainer, "run\n", "snatlab-\x1b[2J", `refuse to remove "snatlab-\x1b[2J": run "run\n" makes nothing of that name` + wrote},
		{"a network without a run", KindNetwork, "", theirNetwork, `refuse to remove "` + theirNetwork + `": the step names no run, so snatlab did not write it`},
		{"a network of another name", KindNetwork, "run", "bridge", `refuse to remove "bridge": run "run" makes nothing of that name` + wrote},
		{"a network of our form", KindNetwork, "other", "snatlab-other-clients", ""},
		{"a container as a network", KindNetwork, "other", "snatlab-other-client-0", `refuse to remove "snatlab-other-client-0": run "other" makes nothing of that name` + wrote},
		{"another program's image", KindImage, "", theirImage, `refuse to remove image "` + theirImage + `": a probe image is named "snatlab-probe:" and 12 hexadecimal digits` + wrote},
		{"an image of our form", KindImage, "", "snatlab-probe:0123456789ab", `refuse to remove image "snatlab-probe:0123456789ab": it does not carry the label snatlab.probe, so snatlab did not make it`},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Undoers().UndoAll(t.Context(), []undo.Step{r.step(test.kind, test.run, test.object)})
			got := ""
			if err != nil {
				got = err.(*undo.LeftError).Left[0].Err.Error()
			}
			if got != test.err {
				t.Errorf("says  %s\nwants %s", got, test.err)
			}
			if diff := cmp.Diff(before, r.state()); diff != "" || !r.hasImage(theirImage) || !r.hasImage("snatlab-probe:0123456789ab") {
				t.Errorf("something was removed:\n%s", diff)
			}
		})
	}
}

// A step names an engine on a Unix socket only.
func TestForgedEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent")
	for _, host := range []string{"tcp://192.0.2.1:2375", "ssh://root@192.0.2.1", "unix://relative", "nonsense"} {
		step := undo.NewStep(KindContainer, "a step", "true", engineObject{host, "run", "snatlab-run-client-0"})
		err := Undoers().UndoAll(t.Context(), []undo.Step{step})
		want := fmt.Sprintf("refuse to use the engine at %q: a run uses an engine on a Unix socket, so snatlab did not write this step", host)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwants %s", err, want)
		}
	}
}

// A part of a run that was renamed still has its label.
func TestListLeftoversRenamed(t *testing.T) {
	r := realEngine(t)
	r.makeImage(theirImage, nil)
	ours := map[string]string{runLabel: "test-renamed"}
	id := r.makeContainer(theirImage, "test-renamed-container", ours)
	r.makeContainer(theirImage, "snatlab-test-renamed-client-1", ours)
	r.makeNetwork("test-renamed-network", ours)
	steps, err := ListLeftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := Undoers().UndoAll(t.Context(), steps); err != nil {
		t.Error(err)
	}
	if len(steps) != 3 {
		t.Errorf("steps %+v", steps)
	}
	if state := fmt.Sprint(r.state()); strings.Contains(state, "renamed") || strings.Contains(state, id) {
		t.Errorf("left: %s", state)
	}
}

// Steps as they have always been written.
func TestStepsOfEarlierVersions(t *testing.T) {
	r := realEngine(t)
	r.makeImage(theirImage, nil)
	r.makeImage("snatlab-probe:ba9876543210", map[string]string{imageLabel: "1"})
	const run = "20261127-141910-3f2a1c"
	ours := map[string]string{runLabel: run}
	r.makeContainer(theirImage, "snatlab-"+run+"-server", ours)
	r.makeContainer(theirImage, "snatlab-"+run+"-client-63", ours)
	r.makeNetwork("snatlab-"+run+"-clients", ours)
	r.makeNetwork("snatlab-"+run+"-server", ours)
	var steps []undo.Step
	for _, s := range []struct{ kind, args string }{
		{KindContainer, `{"host":"HOST","run":"RUN","name":"snatlab-RUN-client-63"}`},
		{KindContainer, `{"host":"HOST","run":"RUN","name":"snatlab-RUN-server"}`},
		{KindNetwork, `{"host":"HOST","run":"RUN","name":"snatlab-RUN-server"}`},
		{KindNetwork, `{"host":"HOST","run":"RUN","name":"snatlab-RUN-clients"}`},
		{KindImage, `{"host":"HOST","run":"","name":"snatlab-probe:ba9876543210"}`},
	} {
		args := strings.NewReplacer("HOST", r.docker.DaemonHost(), "RUN", run).Replace(s.args)
		steps = append(steps, undo.Step{Kind: s.kind, What: "a step", Manual: "true", Args: []byte(args)})
	}
	for range 2 { // undone again, nothing is amiss
		if err := Undoers().UndoAll(t.Context(), steps); err != nil {
			t.Error(err)
		}
	}
	if state := fmt.Sprint(r.state()); strings.Contains(state, run) || r.hasImage("snatlab-probe:ba9876543210") {
		t.Errorf("left: %s", state)
	}
}
