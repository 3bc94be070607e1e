package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// DigestSpec returns a digest that changes with the image that [ReadSpec] would read
// and the initramfs that [Kernel.WriteInitramfs] would write. It does not unpack
// packages, which would take seconds.
func DigestSpec(ctx context.Context, spec, modules string, wanted []string) (string, error) {
	return thisHost.digestSpec(ctx, spec, modules, wanted)
}

func (h host) digestSpec(ctx context.Context, spec, modules string, wanted []string) (string, error) {
	found, err := h.findSource(spec, modules)
	if err != nil {
		return "", fmt.Errorf("kernel %q: %w", spec, err)
	}
	sum := sha256.New()
	if paths, ok := found.(packageFiles); ok {
		err = paths.hashFiles(ctx, sum)
	} else {
		err = h.hashGuestParts(ctx, sum, spec, modules, wanted)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// hashGuestParts adds the image and the initramfs of a guest to sum.
func (h host) hashGuestParts(ctx context.Context, sum io.Writer, spec, modules string, wanted []string) error {
	k, err := h.readSpec(ctx, spec, modules)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%d\n%s", len(k.Image), k.Image)
	return k.WriteInitramfs(sum, bytes.NewReader(nil), wanted, nil)
}

// hashFiles adds the packages, still compressed, to sum.
func (p packageFiles) hashFiles(ctx context.Context, sum io.Writer) error {
	for _, path := range p {
		file, err := openRegular(path)
		if err != nil {
			return err
		}
		n, err := io.Copy(sum, &trackedReader{ctx: ctx, Reader: file})
		file.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		fmt.Fprintf(sum, "\n%d\n", n)
	}
	return nil
}
