package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	dockernet "github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"

	"snatlab/harness/undo"
)

// An engine does not remove a network while it counts endpoints on it. An
// endpoint is the connection of a container to a network. When many containers end
// at once, Docker 20.10 can lose count: the network then has "active endpoints", and
// no container is on it. (Seen once in four times that all 65 containers of a lab
// ended at once on a busy machine: no endpoint was listed, and a restart of the
// engine corrected the count, "Fixing inconsistent endpoint_cnt".)

// A network is removed in removeTries tries, with pauses of 100, 200 and 400 ms
// between them: engines send no event when they release an endpoint.
const (
	removeTries = 4
	removePause = 100 * time.Millisecond
)

// removeNetworkByID removes a network of a run. It disconnects endpoints on it by
// force, except those of other programs' containers.
func removeNetworkByID(ctx context.Context, docker *client.Client, id, run string) error {
	var err error
	var kept []networkEndpoint
	for try := range removeTries {
		if try > 0 && waitFor(ctx, removePause<<(try-1)) != nil {
			break
		}
		err = docker.NetworkRemove(ctx, id)
		if err == nil || cerrdefs.IsNotFound(err) {
			return nil
		}
		if !cerrdefs.IsPermissionDenied(err) && !cerrdefs.IsConflict(err) { // the errors for a network in use
			return fmt.Errorf("remove network: %w", err)
		}
		var unknown error
		if kept, unknown = listEndpoints(ctx, docker, id, run); unknown != nil {
			return fmt.Errorf("remove network: %w", errors.Join(err, unknown))
		}
		disconnectEndpoints(ctx, docker, id, kept)
	}
	return fmt.Errorf("remove network: %w", &NetworkKeptError{Err: err, Advice: adviseOnEndpoints(id, kept)})
}

// NetworkKeptError is the error of an engine that does not remove a network because
// it counts endpoints on it.
type NetworkKeptError struct {
	Err    error  // the engine's
	Advice string // the endpoints, and what to do about them
}

func (e *NetworkKeptError) Error() string { return fmt.Sprintf("%v: %s", e.Err, e.Advice) }

// Unwrap returns the engine's error.
func (e *NetworkKeptError) Unwrap() error { return e.Err }

// waitFor waits for a time. If ctx ends earlier it returns the cause.
func waitFor(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// networkEndpoint is an endpoint that an engine lists on a network.
type networkEndpoint struct {
	name   string // "snatlab-20261127-141910-3f2a1c-client-0"
	id     string
	holder endpointHolder
}

// endpointHolder is the kind of container that an endpoint belongs to.
type endpointHolder int

const (
	noContainer      endpointHolder = iota // the container is gone
	ownContainer                           // a container of the run that made the network
	foreignContainer                       // a container that another program connected
)

// listEndpoints lists the endpoints on a network of a run. A network that is gone has
// none.
func listEndpoints(ctx context.Context, docker *client.Client, id, run string) ([]networkEndpoint, error) {
	info, err := docker.NetworkInspect(ctx, id, dockernet.InspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("inspect network: %w", err)
	}
	var all []networkEndpoint
	for _, key := range slices.Sorted(maps.Keys(info.Containers)) {
		h, err := findHolder(ctx, docker, key, run)
		if err != nil {
			return nil, err
		}
		found := info.Containers[key]
		all = append(all, networkEndpoint{name: found.Name, id: found.EndpointID, holder: h})
	}
	return all, nil
}

// findHolder returns the holder of an endpoint. An engine lists an endpoint by the id
// of its container, or as "ep-" and its own id if it has no container.
func findHolder(ctx context.Context, docker *client.Client, key, run string) (endpointHolder, error) {
	if strings.HasPrefix(key, "ep-") {
		return noContainer, nil
	}
	c, err := docker.ContainerInspect(ctx, key)
	switch {
	case cerrdefs.IsNotFound(err):
		return noContainer, nil
	case err != nil:
		return noContainer, fmt.Errorf("inspect container %q: %w", key, err)
	case hasLabel(c, run):
		return ownContainer, nil
	}
	return foreignContainer, nil
}

// disconnectEndpoints disconnects endpoints from a network, except those of other
// programs' containers. The next try to remove the network shows whether that helped.
func disconnectEndpoints(ctx context.Context, docker *client.Client, network string, all []networkEndpoint) {
	for _, e := range all {
		if e.holder != foreignContainer {
			_ = docker.NetworkDisconnect(ctx, network, e.name, true)
		}
	}
}

// adviseOnEndpoints returns which endpoints keep a network from being removed, and
// what to do about them.
func adviseOnEndpoints(network string, kept []networkEndpoint) string {
	if len(kept) == 0 {
		return "the engine counts endpoints on it and lists none: restart the engine, then run `snatlab cleanup`"
	}
	var on, commands []string
	restart := ""
	for _, e := range kept {
		what := fmt.Sprintf("container %q, which snatlab did not connect", e.name)
		if e.holder != foreignContainer {
			what = fmt.Sprintf("endpoint %q (id %.12s), which no container uses", e.name, e.id)
			restart = " (if that does not help, restart the engine)"
		}
		on = append(on, what)
		commands = append(commands, fmt.Sprintf("docker network disconnect -f %.12s %s", network, e.name))
	}
	return fmt.Sprintf("on it is %s: run `%s`%s, then `snatlab cleanup`", strings.Join(on, ", "), strings.Join(commands, "; "), restart)
}

// AllowNewRun reports whether a new run is possible although an earlier one left
// something: only networks without a container may be left. A new run chooses its
// subnets among those that no network has.
func AllowNewRun(ctx context.Context, left []undo.Left) bool {
	for _, l := range left {
		if l.Step.Kind != KindNetwork || checkUnused(ctx, l.Step.Args) != nil {
			return false
		}
	}
	return true
}

// checkUnused is an Undoer that undoes nothing. It returns an error if a container is
// on the network of a step, or if the network cannot be inspected.
var checkUnused = withEngine(func(ctx context.Context, docker *client.Client, o engineObject) error {
	ours, err := listNetworks(ctx, docker, o)
	for _, n := range ours {
		all, unknown := listEndpoints(ctx, docker, n.ID, o.Run)
		err = errors.Join(err, unknown)
		for _, e := range all {
			if e.holder != noContainer {
				err = errors.Join(err, fmt.Errorf("container %q is on network %q", e.name, n.Name))
			}
		}
	}
	return err
})
