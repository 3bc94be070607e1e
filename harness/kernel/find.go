package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// runningSpec is the SPEC of the kernel of this machine.
const runningSpec = "running"

// kernelSource is a place that holds a kernel.
type kernelSource interface {
	readKernel(ctx context.Context) (image []byte, m moduleSet, err error)
}

// host is the machine on which kernels are found by their release.
type host struct {
	root    string // "/"
	running string // uname -r
}

var thisHost = host{"/", RunningRelease()}

// RunningRelease returns uname -r of this machine; empty if uname(2) fails.
func RunningRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// findSource returns the kernel that a SPEC stands for. A path takes precedence over
// a release, because a file can have any name.
func (h host) findSource(spec, modules string) (kernelSource, error) {
	release := spec
	if spec == runningSpec {
		release = h.running
	} else if info, err := os.Stat(spec); err == nil {
		if info.IsDir() {
			return openBuildTree(spec)
		}
		return h.identifyFile(spec, modules)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ENAMETOOLONG) {
		return nil, err
	}
	if strings.Contains(spec, ",") {
		return checkPackages(strings.Split(spec, ","))
	}
	if path, ok := h.findImage(release); ok {
		return bareImage{h, path, ""}, nil
	}
	return nil, h.unknownSpec(spec)
}

// identifyFile returns the image or the package that a file is, by its first bytes.
func (h host) identifyFile(path, modules string) (kernelSource, error) {
	format, err := detectFormat(path)
	switch {
	case err != nil:
		return nil, err
	case format == formatImage:
		return bareImage{h, path, modules}, nil
	}
	return packageFiles{path}, nil
}

// checkPackages returns the packages at paths. A file of another kind is an error.
func checkPackages(paths []string) (kernelSource, error) {
	for _, path := range paths {
		format, err := detectFormat(path)
		if err != nil {
			return nil, err
		}
		if format == formatImage {
			return nil, fmt.Errorf("%s is not a package: only .deb and .rpm files can be joined by commas", path)
		}
	}
	return packageFiles(paths), nil
}

// findImage returns the path of the image of a release on this machine.
func (h host) findImage(release string) (path string, ok bool) {
	if release == "" || filepath.Base(release) != release {
		return "", false
	}
	for _, path := range h.imagePaths(release) {
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// unknownSpec returns an error that lists the releases and kinds of SPEC to choose from.
func (h host) unknownSpec(spec string) error {
	there := "none is there"
	if all := h.listReleases(); len(all) > 0 {
		there = "there are " + strings.Join(all, ", ")
	}
	what, running := "no such file, and no such kernel", fmt.Sprintf("%q, ", runningSpec)
	switch {
	case spec == runningSpec:
		what, running = fmt.Sprintf("the image of the running kernel, %s, is not", h.running), ""
	case strings.Contains(spec, "/"):
		return errors.New("no such file or folder")
	}
	return fmt.Errorf("%s under %s (%s): give %sa release under /boot, a vmlinuz, a build tree, or packages (.deb, .rpm) joined by commas",
		what, filepath.Join(h.root, "boot"), there, running)
}

// imagePaths returns the paths of an image in Debian, Fedora and Arch.
func (h host) imagePaths(release string) []string {
	return []string{
		filepath.Join(h.root, "boot", "vmlinuz-"+release),
		filepath.Join(h.root, "lib/modules", release, "vmlinuz"),
		filepath.Join(h.root, "usr/lib/modules", release, "vmlinuz"),
	}
}

// listReleases returns the releases whose images are on this machine.
func (h host) listReleases() []string {
	var all []string
	for _, pattern := range h.imagePaths("*") {
		paths, _ := filepath.Glob(pattern) // fails only if the pattern is malformed
		for _, path := range paths {
			release, ok := strings.CutPrefix(filepath.Base(path), "vmlinuz-")
			if !ok {
				release = filepath.Base(filepath.Dir(path))
			}
			all = append(all, release)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
