package kernel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Digest changes with whatever [Read] and [Kernel.Initramfs] would make of a
// SPEC. Packages are not unpacked for it, which would take seconds.
func Digest(ctx context.Context, spec, modules string, wanted []string) (string, error) {
	return thisHost.digest(ctx, spec, modules, wanted)
}

func (h host) digest(ctx context.Context, spec, modules string, wanted []string) (string, error) {
	found, err := h.find(spec, modules)
	if err != nil {
		return "", fmt.Errorf("kernel %q: %w", spec, err)
	}
	sum := sha256.New()
	if paths, ok := found.(packages); ok {
		err = paths.sum(ctx, sum)
	} else {
		err = h.sum(ctx, sum, spec, modules, wanted)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// sum adds what a guest would get.
func (h host) sum(ctx context.Context, sum io.Writer, spec, modules string, wanted []string) error {
	k, err := h.read(ctx, spec, modules)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%d\n%s", len(k.image), k.image)
	return k.Initramfs(sum, bytes.NewReader(nil), wanted, nil)
}

// sum adds the packages as they are.
func (p packages) sum(ctx context.Context, sum io.Writer) error {
	for _, path := range p {
		file, err := open(path)
		if err != nil {
			return err
		}
		n, err := io.Copy(sum, &tracked{ctx: ctx, Reader: file})
		file.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		fmt.Fprintf(sum, "\n%d\n", n)
	}
	return nil
}
