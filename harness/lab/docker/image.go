package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"

	"snatlab/harness/undo"
	"snatlab/images"
)

// imageRepository is the name of the probe image. Its tag is the hash of its content.
const imageRepository = "snatlab-probe"

// imageLabel is the label of the probe images.
const imageLabel = "snatlab.probe"

// buildImage builds the probe image, unless an image of the same content exists. The
// image is the only thing that a run leaves behind: a cache, which `snatlab cleanup
// --images` removes.
func (l *dockerLab) buildImage(ctx context.Context) error {
	binary, err := os.Open(l.config.Binary)
	if err != nil {
		return fmt.Errorf("open the binary for the probe image: %w", err)
	}
	defer binary.Close()
	if err := checkStatic(binary); err != nil {
		return fmt.Errorf("probe image of %s: %w (build it with CGO_ENABLED=0, or `make build`)", l.config.Binary, err)
	}
	hash := sha256.New()
	hash.Write(images.ProbeDockerfile)
	if _, err := io.Copy(hash, binary); err != nil {
		return fmt.Errorf("hash %s: %w", l.config.Binary, err)
	}
	l.image = imageRepository + ":" + hex.EncodeToString(hash.Sum(nil))[:12]
	_, err = l.host.docker.ImageInspect(ctx, l.image)
	if err == nil {
		return nil
	}
	if !cerrdefs.IsNotFound(err) {
		return fmt.Errorf("look for image %s: %w", l.image, err)
	}
	l.Say("building the probe image")
	// An interrupted build would leave the builder's own container for a while.
	if err := l.sendBuild(undo.Context(ctx), binary); err != nil {
		return fmt.Errorf("build image %s: %w", l.image, err)
	}
	return nil
}

// sendBuild sends the build context while it writes the context: the binary is never
// in memory as a whole.
func (l *dockerLab) sendBuild(ctx context.Context, binary *os.File) error {
	sent, w := io.Pipe()
	defer sent.Close() // ends the writer if the engine did not read all
	go func() { w.CloseWithError(writeContext(w, binary)) }()
	answer, err := l.host.docker.ImageBuild(ctx, sent, build.ImageBuildOptions{
		Tags: []string{l.image}, Labels: map[string]string{imageLabel: "1"},
		Version: build.BuilderV1, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return fmt.Errorf("%w (does this engine have an image builder?)", err)
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
			return fmt.Errorf("read the builder's answer: %w", err)
		case m.Error != "":
			return errors.New(m.Error)
		}
	}
}

// writeContext writes the build context of images/probe/Dockerfile.
func writeContext(w io.Writer, binary *os.File) error {
	size, err := binary.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = binary.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	archive := tar.NewWriter(w)
	err = archive.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o644, Size: int64(len(images.ProbeDockerfile))})
	if err == nil {
		_, err = archive.Write(images.ProbeDockerfile)
	}
	if err == nil {
		err = archive.WriteHeader(&tar.Header{Name: "snatlab", Mode: 0o755, Size: size})
	}
	if err == nil {
		_, err = io.Copy(archive, binary)
	}
	return errors.Join(err, archive.Close())
}

// checkStatic returns an error if the binary needs a dynamic linker: the binary is
// the only file in its image.
func checkStatic(binary io.ReaderAt) error {
	program, err := elf.NewFile(binary)
	if err != nil {
		return fmt.Errorf("not an ELF binary: %w", err)
	}
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("not a static binary")
		}
	}
	return nil
}
