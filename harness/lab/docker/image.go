package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"snatlab/harness/undo"
	"snatlab/images"
)

// The name of the probe image, without its tag, and its label.
const (
	imageRepository = images.Repository
	imageLabel      = images.Label
)

// loadImage loads the probe image into the engine, unless the engine has it. The image
// is the only thing that a run leaves behind: a cache, which `snatlab cleanup --images`
// removes.
func (l *dockerLab) loadImage(ctx context.Context) error {
	made, err := images.Open(l.config.Binary)
	if errors.As(err, new(*os.PathError)) {
		return fmt.Errorf("open the binary for the probe image: %w", err)
	}
	if err != nil {
		return fmt.Errorf("probe image of %s: %w (build it with CGO_ENABLED=0, or `make build`)", l.config.Binary, err)
	}
	defer made.Close()
	l.image = imageRepository + ":" + made.Tag
	_, err = l.host.docker.ImageInspect(ctx, l.image)
	if err == nil {
		return nil
	}
	if !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("look for image %s: %w", l.image, err)
	}
	l.Say("loading the probe image")
	if err := l.sendImage(undo.Context(ctx), made); err != nil {
		return fmt.Errorf("load image %s: %w", l.image, err)
	}
	return nil
}

// sendImage sends the image while it is written: it is never in memory as a whole.
func (l *dockerLab) sendImage(ctx context.Context, made *images.Image) error {
	sent, w := io.Pipe()
	defer sent.Close() // ends the writer if the engine did not read all
	go func() { w.CloseWithError(made.Write(w, l.image)) }()
	answer, err := l.host.docker.ImageLoad(ctx, sent, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for messages := json.NewDecoder(answer.Body); ; {
		var m struct {
			Error string `json:"error"`
		}
		switch err := messages.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the engine's answer: %w", err)
		case m.Error != "":
			return errors.New(m.Error)
		}
	}
}
