package docker

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// The steps of a journal are carried out by root, and somebody else may have
// written them. So a step has to name what a run makes, in the form in which a
// run names it, and only what carries our label is removed.

// The parts that a run's containers and networks are named after; they follow
// "snatlab-", the run and a dash.
var (
	containerPart = regexp.MustCompile(`^(server|client-[0-9]{1,5})$`)
	networkPart   = regexp.MustCompile(`^(server|clients)$`)
)

// imageForm is how a probe image is named.
var imageForm = regexp.MustCompile(`^` + imageRepository + `:[0-9a-f]{12}$`)

// idForm is an id of the engine's, as a whole. What carries our label and was
// given another name is found by it.
var idForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkName refuses a name that no run gives to one of its parts.
func (o engineObject) checkName(part *regexp.Regexp) error {
	if o.Run == "" {
		return fmt.Errorf("refuse to remove %q: the step names no run, so snatlab did not write it", o.Name)
	}
	rest, ours := strings.CutPrefix(o.Name, "snatlab-"+o.Run+"-")
	if ours && part.MatchString(rest) || idForm.MatchString(o.Name) {
		return nil
	}
	return fmt.Errorf("refuse to remove %q: run %q gives no such name, so snatlab did not write this step", o.Name, o.Run)
}

// checkImage refuses a name that is none of a probe image.
func (o engineObject) checkImage() error {
	if imageForm.MatchString(o.Name) {
		return nil
	}
	return fmt.Errorf("refuse to remove image %q: a probe image is named \"%s:\" and 12 hexadecimal digits, so snatlab did not write this step", o.Name, imageRepository)
}

// checkHost refuses an engine that no run uses: a run uses one on a Unix socket.
// The engine that DOCKER_HOST names is the caller's own choice.
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
