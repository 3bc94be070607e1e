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

// Running is the SPEC of the kernel of this machine.
const Running = "running"

// source is where a kernel was found.
type source interface {
	read(ctx context.Context) (image []byte, m modules, err error)
}

// host is where kernels are looked for that no path is given to.
type host struct {
	root    string // "/"
	running string // uname -r
}

var thisHost = host{"/", RunningRelease()}

// RunningRelease returns uname -r; empty if the kernel does not tell it.
func RunningRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// find tells what a SPEC stands for. A path goes first: files can be called
// anything.
func (h host) find(spec, modules string) (source, error) {
	release := spec
	if spec == Running {
		release = h.running
	} else if info, err := os.Stat(spec); err == nil {
		if info.IsDir() {
			return asTree(spec)
		}
		return h.file(spec, modules)
	} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ENAMETOOLONG) {
		return nil, err
	}
	if strings.Contains(spec, ",") {
		return asPackages(strings.Split(spec, ","))
	}
	if path, ok := h.bootable(release); ok {
		return bare{h, path, ""}, nil
	}
	return nil, h.unknown(spec)
}

// file tells by its first bytes what a file is.
func (h host) file(path, modules string) (source, error) {
	format, err := sniff(path)
	switch {
	case err != nil:
		return nil, err
	case format == formatImage:
		return bare{h, path, modules}, nil
	}
	return packages{path}, nil
}

// asPackages takes paths that have to be packages, each of them.
func asPackages(paths []string) (source, error) {
	for _, path := range paths {
		format, err := sniff(path)
		if err != nil {
			return nil, err
		}
		if format == formatImage {
			return nil, fmt.Errorf("%s is no package: only .deb and .rpm files are joined by commas", path)
		}
	}
	return packages(paths), nil
}

// bootable is the image of a release that this machine can boot.
func (h host) bootable(release string) (path string, ok bool) {
	if release == "" || filepath.Base(release) != release {
		return "", false
	}
	for _, path := range h.imagesOf(release) {
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// unknown says what could be meant.
func (h host) unknown(spec string) error {
	there := "none is there"
	if all := h.releases(); len(all) > 0 {
		there = "there are " + strings.Join(all, ", ")
	}
	what, running := "no such file, and no such kernel", fmt.Sprintf("%q, ", Running)
	switch {
	case spec == Running:
		what, running = fmt.Sprintf("the image of the running kernel, %s, is not", h.running), ""
	case strings.Contains(spec, "/"):
		return errors.New("no such file or folder")
	}
	return fmt.Errorf("%s under %s (%s): give %sa release under /boot, a vmlinuz, a build tree, or packages (.deb, .rpm) joined by commas",
		what, filepath.Join(h.root, "boot"), there, running)
}

// imagesOf lists where distributions put the image: Debian, Fedora and Arch.
func (h host) imagesOf(release string) []string {
	return []string{
		filepath.Join(h.root, "boot", "vmlinuz-"+release),
		filepath.Join(h.root, "lib/modules", release, "vmlinuz"),
		filepath.Join(h.root, "usr/lib/modules", release, "vmlinuz"),
	}
}

// releases lists those that this machine can boot.
func (h host) releases() []string {
	var all []string
	for _, pattern := range h.imagesOf("*") {
		paths, _ := filepath.Glob(pattern) // fails for a bad pattern only
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
