package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// DigestSpec changes with whatever [ReadSpec] and [Kernel.Initramfs] would make of a
// SPEC. Packages are not unpacked for it, which would take seconds.
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

// hashGuestParts adds what a guest would get.
func (h host) hashGuestParts(ctx context.Context, sum io.Writer, spec, modules string, wanted []string) error {
	k, err := h.readSpec(ctx, spec, modules)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%d\n%s", len(k.image), k.image)
	return k.WriteInitramfs(sum, bytes.NewReader(nil), wanted, nil)
}

// hashFiles adds the packages as they are.
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
