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

// lookTime bounds a look at the lab's containers. A busy engine answers late; and
// where an init system holds the engine's socket, a new connection waits until the
// engine that stops has been replaced.
const lookTime = 20 * time.Second

// Intact looks at the containers that run, whether they still are where they
// were put. Of one that does not run any more, its stream tells; and an engine
// that is gone takes the streams along.
func (l *dockerLab) Intact(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	list, err := l.host.docker.ContainerList(ctx, container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", runLabel+"="+l.config.Run))})
	if err != nil && l.host.checkSameEngine(ctx, l.watch) != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look whether the lab is as it was built: %w", err)
	}
	var errs []error
	for _, c := range list {
		if was, ok := l.places[c.ID]; ok {
			errs = append(errs, was.checkPlace(c))
		}
	}
	return errors.Join(errs...)
}

// checkPlace tells what has become of a container that was put in a place.
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

// returnTime bounds the wait for an engine that went away. To restart one takes
// seconds, and some more if it has many containers to stop.
const returnTime = 30 * time.Second

// awaitEngine waits for an engine that went away, which may be about to come back:
// without it, nothing of what it made can be removed.
func (h *Host) awaitEngine(ctx context.Context, say func(string)) {
	for begun, told := time.Now(), false; ; told = true {
		if h.isAnswering(ctx) || time.Since(begun) > returnTime {
			return
		}
		if !told {
			say(fmt.Sprintf("the Docker engine is gone: waiting for it to come back, for %v at most", returnTime))
		}
		select {
		case <-time.After(250 * time.Millisecond): // nobody tells
		case <-ctx.Done():
			return
		}
	}
}

// isAnswering tells whether the engine takes new connections. Those that are open it
// may go on to serve for a while when it is about to stop.
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

// errEngineBack says that an engine was away.
var errEngineBack = errors.New("it is back by now")

// checkSameEngine reports whether the engine is gone, or was since w was opened. Only
// an answer on a new connection makes it certain that an engine which w does not
// see ended is the same one.
func (h *Host) checkSameEngine(ctx context.Context, w *engineWatch) error {
	if err := h.pingEngine(ctx); err != nil {
		return err
	}
	if w.hasEnded() {
		return errEngineBack
	}
	return nil
}
