package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Kernel is a kernel image with the modules that come with it.
type Kernel struct {
	Release string // uname -r, read from the image
	Image   []byte // a bzImage
	modules moduleSet
}

// ReadSpec reads the kernel that a SPEC stands for. The modules of a bare vmlinuz are
// in the folder modules, or under /lib/modules if modules is empty; every other kernel
// has its own modules.
func ReadSpec(ctx context.Context, spec, modules string) (*Kernel, error) {
	return thisHost.readSpec(ctx, spec, modules)
}

// CheckSpecs returns an error that names each SPEC without a kernel on this machine.
// It does not read the kernels.
func CheckSpecs(specs []string, modules string) error {
	var errs []error
	for _, spec := range specs {
		if _, err := thisHost.findSource(spec, modules); err != nil {
			errs = append(errs, fmt.Errorf("kernel %q: %w", spec, err))
		}
	}
	return errors.Join(errs...)
}

func (h host) readSpec(ctx context.Context, spec, modules string) (*Kernel, error) {
	found, err := h.findSource(spec, modules)
	if err != nil {
		return nil, fmt.Errorf("kernel %q: %w", spec, err)
	}
	k := new(Kernel)
	if k.Image, k.modules, err = found.readKernel(ctx); err == nil {
		err = k.setRelease()
	}
	if err != nil {
		return nil, fmt.Errorf("kernel %q: %w", spec, err)
	}
	return k, nil
}

// setRelease reads the release from the image. Modules of another release are an error.
func (k *Kernel) setRelease() (err error) {
	if k.Release, err = imageRelease(k.Image); err != nil {
		return err
	}
	if of := cmp.Or(k.modules.release, k.Release); of != k.Release {
		return fmt.Errorf("the kernel is %s and its modules are of %s: they belong to different kernels", k.Release, of)
	}
	return nil
}
