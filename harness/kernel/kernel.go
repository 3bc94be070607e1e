package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Kernel is a kernel image with the modules that come with it.
type Kernel struct {
	Spec    string // as it was given
	Release string // uname -r, read from the image
	image   []byte
	modules moduleSet
}

// Image is the kernel itself, a bzImage.
func (k *Kernel) Image() []byte { return k.image }

// ReadSpec finds a kernel by its SPEC. A bare vmlinuz takes its modules out of the
// folder modules, or those of its release under /lib/modules if that is empty;
// all other kernels bring their own.
func ReadSpec(ctx context.Context, spec, modules string) (*Kernel, error) {
	return thisHost.readSpec(ctx, spec, modules)
}

// CheckSpecs returns an error for the SPECs that stand for nothing on this
// machine. It does not read the kernels.
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
	k := &Kernel{Spec: spec}
	if k.image, k.modules, err = found.readKernel(ctx); err == nil {
		err = k.setRelease()
	}
	if err != nil {
		return nil, fmt.Errorf("kernel %q: %w", spec, err)
	}
	return k, nil
}

// setRelease reads the release, which has to be that of the modules.
func (k *Kernel) setRelease() (err error) {
	if k.Release, err = imageRelease(k.image); err != nil {
		return err
	}
	if of := cmp.Or(k.modules.release, k.Release); of != k.Release {
		return fmt.Errorf("the kernel is %s and its modules are of %s: they belong to different kernels", k.Release, of)
	}
	return nil
}
