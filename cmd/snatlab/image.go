package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"snatlab/harness/lab"
	"snatlab/images"
)

// imageFlags are the flags of `snatlab image`.
type imageFlags struct{ output, name, binary, platform string }

func imageCommand() *cobra.Command {
	var f imageFlags
	c := &cobra.Command{
		Use:   "image",
		Short: "Write this program as a container image, without an engine",
		Long: `Write an archive with a container image that holds this program and nothing else:
the image of the probes in Pods. The archive is an OCI layout that ` + "`docker load`" + `,
` + "`ctr images import`, `kind load`" + ` and tools that copy images to a registry read.

The same program always makes the same image. The default name is
` + images.LocalRepository + ` with the beginning of the image's ID as its tag. No
registry answers to it, so that a node without the image pulls nothing else in its
place. The image runs this program as a user without rights.

Exit codes: 0 written; 2 wrong command line; 3 the program fits into no image, or the
archive cannot be written.`,
		Example: `  snatlab image
  snatlab image --name registry.example/snatlab:1.0 --output snatlab.tar
  snatlab image --binary snatlab-arm64 --platform linux/arm64 --output arm64.tar
  snatlab image --output - | docker load`,
		RunE: func(c *cobra.Command, _ []string) error {
			return runInterruptible(func(ctx context.Context) error { return writeImage(ctx, c, f) })
		},
	}
	c.Flags().StringVar(&f.output, "output", "probe.tar", "file of the archive, which is replaced; - for standard output")
	c.Flags().StringVar(&f.name, "name", "", "name of the image, instead of one after its content")
	c.Flags().StringVar(&f.binary, "binary", "", "a static binary of snatlab, instead of this program")
	c.Flags().StringVar(&f.platform, "platform", "", "the platform that the binary must be for, like linux/arm64")
	return c
}

// writeImage writes the archive, and says what it holds.
func writeImage(ctx context.Context, c *cobra.Command, f imageFlags) error {
	if f.name != "" {
		if err := images.CheckName(f.name); err != nil {
			return usageError{c, fmt.Errorf("--name %w", err)}
		}
	}
	if f.output == "-" && term.IsTerminal(int(os.Stdout.Fd())) {
		return usageError{c, errors.New("--output -: standard output is a terminal, which cannot show an archive")}
	}
	binary, shown := f.binary, f.binary
	if binary == "" {
		binary, shown = lab.ThisBinary, "this program"
	}
	made, err := images.Open(binary)
	if errors.As(err, new(*os.PathError)) {
		return fmt.Errorf("image of %s: %w", shown, err)
	}
	if err != nil {
		return fmt.Errorf("image of %s: %w (build it with `make build`)", shown, err)
	}
	defer made.Close()
	if f.platform != "" && f.platform != made.Platform {
		return usageError{c, fmt.Errorf("--platform %s: %s is for %s (give a binary for the other platform with --binary)", f.platform, shown, made.Platform)}
	}
	if f.name == "" {
		f.name = made.LocalName()
	}
	if f.output == "-" {
		return made.Write(stopWriter{ctx, os.Stdout}, f.name)
	}
	if err := writeImageFile(ctx, made, f); err != nil {
		return fmt.Errorf("write %s: %w", f.output, err)
	}
	return describeImage(os.Stdout, made, f)
}

// writeImageFile writes the archive whole or not at all.
func writeImageFile(ctx context.Context, made *images.Image, f imageFlags) error {
	file, err := renameio.NewPendingFile(f.output, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if err := made.Write(stopWriter{ctx, file}, f.name); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}

// stopWriter is a writer that fails as soon as its context has ended.
type stopWriter struct {
	ctx context.Context
	w   io.Writer
}

func (s stopWriter) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// describeImage writes what an archive holds, and the commands that load it.
func describeImage(w io.Writer, made *images.Image, f imageFlags) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, `%[1]s holds the image %[2]s for %[3]s.

To load it:
  docker load --input %[1]s	into a Docker engine
  ctr -n k8s.io images import %[1]s	into containerd, on a node
  kind load image-archive %[1]s	into the nodes of kind
  skopeo copy oci-archive:%[1]s docker://REGISTRY/NAME:TAG	into a registry
`, f.output, f.name, made.Platform)
	return table.Flush()
}
