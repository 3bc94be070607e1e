package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"snatlab/harness/lab/docker/presence"
)

// lookTime bounds an inspection of the lab's containers. A busy engine answers late.
// If an init system holds the engine's socket, a new connection to an engine that is
// stopping waits until the next engine has started.
const lookTime = 20 * time.Second

// Intact checks that the running containers are still in their places. It does not
// report that a container or the engine has ended: the end of the container's stream
// reports that.
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
		return fmt.Errorf("container %s is paused: another user or program paused it (run again, and leave the containers of the run alone)", name)
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
			say(fmt.Sprintf("the %s engine is gone: waiting for it to come back, for %v at most", h.engineName(), returnTime))
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

// openWatch opens a watch of the engine.
func (h *Host) openWatch(ctx context.Context) (*presence.Watch, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return presence.Open(ctx, h.docker)
}

// errEngineBack is the error for an engine that was away.
var errEngineBack = errors.New("it is back by now")

// checkSameEngine returns an error if the engine does not answer, or if it was away
// since w was opened. An open w is not enough: an engine that is about to stop may
// serve its open connections for a while, so the engine is asked on a new one.
func (h *Host) checkSameEngine(ctx context.Context, w *presence.Watch) error {
	if err := h.pingEngine(ctx); err != nil {
		return err
	}
	if w.HasEnded() {
		return errEngineBack
	}
	return nil
}
