package kernel

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"snatlab/harness/kernel/kerneltest"
)

// maxFuzzed is the most bytes of an input: only the files in packages are large.
const maxFuzzed = 1 << 16

// FuzzPackage checks that a package is refused, or that its kernel has a release.
func FuzzPackage(f *testing.F) {
	t := new(testing.T)
	for _, suffix := range []string{"", ".gz", ".zst"} {
		f.Add(debPackage{suffix: suffix, files: wholeKernel(testRelease)}.encode(t))
		f.Add(rpmPackage{suffix: suffix, files: wholeKernel(testRelease)}.encode(t))
	}
	f.Add([]byte(arMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxFuzzed {
			t.Skip()
		}
		var u packageContent
		var err error
		if strings.HasPrefix(string(data), rpmMagic) {
			_, err = readRPM(t.Context(), bytes.NewReader(data), u.keepFile)
		} else {
			_, err = readDeb(t.Context(), bytes.NewReader(data), int64(len(data)), u.keepFile)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("%d bytes of error", len(err.Error()))
		}
		k := &Kernel{Image: u.image, modules: u.modules}
		if err := k.setRelease(); err == nil && !isRelease(k.Release) {
			t.Errorf("release %q", k.Release)
		}
		_ = k.WriteInitramfs(io.Discard, strings.NewReader(""), GuestModules, nil)
	})
}

// FuzzModule checks that a module is refused, or that its names are canonical.
func FuzzModule(f *testing.F) {
	f.Add(makeModuleWith("nf-conntrack,libcrc32c"))
	f.Add(makeModule("softdep=pre: a post: b pre: c", "=", "", "depends"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxFuzzed {
			t.Skip()
		}
		i, err := readModuleInfo(data)
		for _, name := range append(i.depends, i.before...) {
			if err != nil || name == "" || strings.Contains(name, "-") {
				t.Errorf("%q %v", name, err)
			}
		}
	})
}

// FuzzImage checks that a bzImage is refused, or that it has a release.
func FuzzImage(f *testing.F) {
	f.Add(kerneltest.BzImage(testRelease))
	f.Add([]byte("MZ\x00\x00zimg"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if release, err := imageRelease(data); err == nil && !isRelease(release) {
			t.Errorf("%q", release)
		}
	})
}
