package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// lookTime bounds an inspection of the lab's containers. A busy engine answers late.
// Where an init system holds the engine's socket, a new connection waits until the
// engine that stops has been replaced.
const lookTime = 20 * time.Second

// Intact checks that the running containers are still in their places. The end of a
// container, or of the engine, is not its concern: then the container's stream ends.
func (l *dockerLab) Intact(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	list, err := l.host.docker.ContainerList(ctx, container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", runLabel+"="+l.config.Run))})
	if err != nil && l.host.checkSameEngine(ctx, l.watch) != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check whether the lab is as it was built: %w", err)
	}
	var errs []error
	for _, c := range list {
		if was, ok := l.places[c.ID]; ok {
			errs = append(errs, was.checkPlace(c))
		}
	}
	return errors.Join(errs...)
}

// checkPlace returns an error if a container is no longer in its place.
func (p containerPlace) checkPlace(c container.Summary) error {
	name := strings.TrimPrefix(strings.Join(c.Names, ", "), "/")
	if c.State == "paused" {
		return fmt.Errorf("container %s is paused: somebody stopped it", name)
	}
	if n := c.NetworkSettings; n != nil {
		if e := n.Networks[p.network]; e != nil && e.EndpointID == p.endpoint {
			return nil
		}
	}
	return fmt.Errorf("container %s was taken off network %s: somebody disconnected it, or removed the network", name, p.network)
}

// returnTime bounds the wait for an engine that went away. A restart takes seconds,
// and longer if the engine has many containers to stop.
const returnTime = 30 * time.Second

// awaitEngine waits for an engine that went away and may be restarting: without it,
// nothing that it made can be removed.
func (h *Host) awaitEngine(ctx context.Context, say func(string)) {
	for begun, told := time.Now(), false; ; told = true {
		if h.isAnswering(ctx) || time.Since(begun) > returnTime {
			return
		}
		if !told {
			say(fmt.Sprintf("the Docker engine is gone: waiting for it to come back, for %v at most", returnTime))
		}
		select {
		case <-time.After(250 * time.Millisecond): // there is no event to wait for
		case <-ctx.Done():
			return
		}
	}
}

// isAnswering reports whether the engine accepts new connections. An engine that is
// about to stop may serve its open connections for a while.
func (h *Host) isAnswering(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return h.pingEngine(ctx) == nil
}

// pingEngine asks the engine for an answer on a new connection.
func (h *Host) pingEngine(ctx context.Context) error {
	docker, err := connectEngine(h.docker.DaemonHost())
	if err != nil {
		return err
	}
	defer docker.Close()
	_, err = docker.Ping(ctx)
	return err
}

// errEngineBack is the error for an engine that was away.
var errEngineBack = errors.New("it is back by now")

// checkSameEngine returns an error if the engine is gone, or was gone since w was
// opened. If w has not ended, only an answer on a new connection proves that the
// engine is the same.
func (h *Host) checkSameEngine(ctx context.Context, w *engineWatch) error {
	if err := h.pingEngine(ctx); err != nil {
		return err
	}
	if w.hasEnded() {
		return errEngineBack
	}
	return nil
}
