package docker

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// Root carries out the steps of a journal, and another user may have written them.
// So a step must name an object in the form in which a run names it, and only objects
// with our label are removed.

// The last parts of the names of a run's containers and networks. They follow
// "snatlab-", the run and a dash.
var (
	containerPart = regexp.MustCompile(`^(server|client-[0-9]{1,5})$`)
	networkPart   = regexp.MustCompile(`^(server|clients)$`)
)

// imageForm is the form of a probe image's name.
var imageForm = regexp.MustCompile(`^` + imageRepository + `:[0-9a-f]{12}$`)

// engineIDForm is the form of an engine's id, in full length. An object with our label
// that was renamed is found by its id.
var engineIDForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkName returns an error for a name that no part of a run has.
func (o engineObject) checkName(part *regexp.Regexp) error {
	if o.Run == "" {
		return fmt.Errorf("refuse to remove %q: the step names no run, so snatlab did not write it", o.Name)
	}
	rest, ours := strings.CutPrefix(o.Name, "snatlab-"+o.Run+"-")
	if ours && part.MatchString(rest) || engineIDForm.MatchString(o.Name) {
		return nil
	}
	return fmt.Errorf("refuse to remove %q: run %q makes nothing of that name, so snatlab did not write this step", o.Name, o.Run)
}

// checkImage returns an error for a name that no probe image has.
func (o engineObject) checkImage() error {
	if imageForm.MatchString(o.Name) {
		return nil
	}
	return fmt.Errorf("refuse to remove image %q: a probe image is named \"%s:\" and 12 hexadecimal digits, so snatlab did not write this step", o.Name, imageRepository)
}

// checkHost returns an error for an engine that no run uses: the engine of a run is
// on a Unix socket. The engine in DOCKER_HOST is the caller's own choice.
func (o engineObject) checkHost() error {
	if o.Host == "" || strings.HasPrefix(o.Host, "unix:///") {
		return nil
	}
	if own, err := connectEngine(""); err == nil {
		defer own.Close()
		if own.DaemonHost() == o.Host {
			return nil
		}
	}
	return fmt.Errorf("refuse to use the engine at %q: a run uses an engine on a Unix socket, so snatlab did not write this step", o.Host)
}

// hasLabel reports whether a container has the label of a run.
func hasLabel(c container.InspectResponse, run string) bool {
	return run != "" && c.ContainerJSONBase != nil && c.Config != nil && c.Config.Labels[runLabel] == run
}
