package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"snatlab/harness/undo"
)

// engineSocket is the socket of an engine by default.
const engineSocket = "/var/run/docker.sock"

// IsEngineAbsent reports whether this machine has no engine: DOCKER_HOST names none,
// and the default socket does not exist.
func IsEngineAbsent() bool {
	_, err := os.Stat(engineSocket)
	return os.Getenv(client.EnvOverrideHost) == "" && errors.Is(err, fs.ErrNotExist)
}

// ListLeftovers lists the containers and networks with our label, as steps that
// remove them. They are the leftovers of a run whose journal is gone. Containers come
// first.
func ListLeftovers(ctx context.Context) ([]undo.Step, error) {
	docker, err := connectEngine("")
	if err != nil {
		return nil, err
	}
	defer docker.Close()
	h := &Host{docker: docker}
	if err := h.recognise(ctx); err != nil {
		return nil, err
	}
	labelled := filters.NewArgs(filters.Arg("label", runLabel))
	containers, err := docker.ContainerList(ctx, container.ListOptions{All: true, Filters: labelled})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var steps []undo.Step
	for _, c := range containers {
		name := strings.TrimPrefix(strings.Join(c.Names, ","), "/")
		steps = append(steps, leftoverStep(h.containerStep, containerPart, c.Labels[runLabel], name, c.ID))
	}
	networks, err := docker.NetworkList(ctx, dockernet.ListOptions{Filters: labelled})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks {
		steps = append(steps, leftoverStep(h.networkStep, networkPart, n.Labels[runLabel], n.Name, n.ID))
	}
	return steps, nil
}

// leftoverStep returns the step that removes a part of a run. A part that was renamed
// is removed by its id.
func leftoverStep(step func(run, name string) undo.Step, part *regexp.Regexp, run, name, id string) undo.Step {
	if (engineObject{Run: run, Name: name}).checkName(part) != nil {
		name = id
	}
	return step(run, name)
}

// KindImage is the kind of the step that removes a probe image.
const KindImage = "docker.image"

// ListImages lists the probe images, as steps that remove them.
func ListImages(ctx context.Context) ([]undo.Step, error) {
	docker, err := connectEngine("")
	if err != nil {
		return nil, err
	}
	defer docker.Close()
	images, err := docker.ImageList(ctx, image.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", imageLabel))})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var steps []undo.Step
	for _, i := range images {
		for _, tag := range i.RepoTags {
			if !imageForm.MatchString(tag) {
				continue // another program gave it this name
			}
			steps = append(steps, undo.NewStep(KindImage, "image "+tag, "docker rmi "+tag, engineObject{Host: docker.DaemonHost(), Name: tag}))
		}
	}
	return steps, nil
}

func removeImage(ctx context.Context, docker *client.Client, o engineObject) error {
	if err := o.checkImage(); err != nil {
		return err
	}
	info, err := docker.ImageInspect(ctx, o.Name)
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspect image: %w", err)
	}
	if info.Config == nil || info.Config.Labels[imageLabel] == "" {
		return fmt.Errorf("refuse to remove image %q: it does not carry the label %s, so snatlab did not make it", o.Name, imageLabel)
	}
	_, err = docker.ImageRemove(ctx, o.Name, image.RemoveOptions{PruneChildren: true})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("remove image: %w", err)
	}
	return nil
}
