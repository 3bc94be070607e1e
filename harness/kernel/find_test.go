package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/kernel/kerneltest"
)

// makeHost returns a machine with kernels as distributions install them.
func makeHost(t *testing.T) host {
	t.Helper()
	root := t.TempDir()
	for _, release := range []string{"5.10.0-46-amd64", testRelease} {
		f := wholeKernel(release)
		for path := range f {
			if strings.HasSuffix(path, ".ko") {
				f[path] = strings.ReplaceAll(f[path], testRelease, release)
			}
		}
		f.WriteBelow(t, root)
	}
	kerneltest.FileTree{"lib/modules/6.11.4-301.fc41.x86_64/vmlinuz": string(kerneltest.BzImage("6.11.4-301.fc41.x86_64"))}.WriteBelow(t, root)
	return host{root, testRelease}
}

// A SPEC is a release, an image or a build tree.
func TestReadSpec(t *testing.T) {
	t.Parallel()
	h := makeHost(t)
	folder := t.TempDir()
	kerneltest.FileTree{
		"vmlinuz":                             string(kerneltest.BzImage(testRelease)),
		"linux/arch/x86/boot/bzImage":         string(kerneltest.BzImage(testRelease)),
		"linux/include/config/kernel.release": testRelease + "\n",
		"linux/modules.builtin":               "kernel/net/802/stp.ko\n",
		"linux/modules.order":                 "kernel/drivers/net/veth.ko\nnet/netfilter/nf_nat.o\n../../etc/passwd.ko\n",
		"linux/drivers/net/veth.ko":           string(makeModuleWith("")),
		"linux/net/netfilter/nf_nat.ko":       string(makeModuleWith("")),
		"linux/net/left/over.ko":              string(makeModuleWith("")),
		"some/veth.ko":                        string(makeModuleWith("")),
		"some/modules.order":                  "",
	}.WriteBelow(t, folder)
	for _, c := range []struct {
		spec, modules string
		release       string
		names         int // number of modules
		listed        bool
	}{
		{"running", "", testRelease, 6, true},
		{"5.10.0-46-amd64", "", "5.10.0-46-amd64", 6, true},
		{"6.11.4-301.fc41.x86_64", "", "6.11.4-301.fc41.x86_64", 0, false},
		{filepath.Join(h.root, "boot/vmlinuz-"+testRelease), "", testRelease, 6, true},
		{filepath.Join(folder, "vmlinuz"), filepath.Join(folder, "some"), testRelease, 1, false},
		{filepath.Join(folder, "vmlinuz"), filepath.Join(h.root, "lib/modules"), testRelease, 6, true},
		{filepath.Join(folder, "vmlinuz"), h.root, testRelease, 6, true},
		{filepath.Join(folder, "linux"), "", testRelease, 2, true},
	} {
		k, err := h.readSpec(t.Context(), c.spec, c.modules)
		if err != nil {
			t.Error(err)
			continue
		}
		if k.Release != c.release || len(k.modules.files) != c.names || (k.modules.builtin != nil) != c.listed {
			t.Errorf("%s: %s with modules %v, built in %v", c.spec, k.Release, k.modules.files, k.modules.builtin)
		}
	}
}

// The error of a wrong SPEC lists what it can be.
func TestReadSpecErrors(t *testing.T) {
	t.Parallel()
	h := makeHost(t)
	folder := t.TempDir()
	image := filepath.Join(folder, "vmlinuz")
	kerneltest.FileTree{"vmlinuz": string(kerneltest.BzImage(testRelease)), "empty/README": "",
		"old/arch/x86/boot/bzImage": string(kerneltest.BzImage("6.0.1")), "old/include/config/kernel.release": "6.0.2\n"}.WriteBelow(t, folder)
	there := "(there are 5.10.0-46-amd64, 6.1.0-56-cloud-amd64, 6.11.4-301.fc41.x86_64): give \"running\", a release under /boot, a vmlinuz, a build tree, or packages (.deb, .rpm) joined by commas"
	for _, c := range []struct {
		h                   host
		spec, modules, want string
	}{
		{h, "6.13", "", `kernel "6.13": no such file, and no such kernel under ` + h.root + "/boot " + there},
		{h, "", "", `kernel "": no such file, and no such kernel under ` + h.root + "/boot " + there},
		{h, "..", "", `kernel "..": no kernel was built in this folder: there is no arch/x86/boot/bzImage (make bzImage modules)`},
		{h, "./vmlinux", "", `kernel "./vmlinux": no such file or folder`},
		{host{folder, "6.9.9"}, "running", "", `kernel "running": the image of the running kernel, 6.9.9, is not under ` + folder +
			`/boot (none is there): give a release under /boot, a vmlinuz, a build tree, or packages (.deb, .rpm) joined by commas`},
		{h, "a.deb,b.deb", "", `kernel "a.deb,b.deb": stat a.deb: no such file or directory`},
		{h, image + "," + image, "", `kernel "` + image + "," + image + `": ` + image + " is not a package: only .deb and .rpm files can be joined by commas"},
		{h, os.DevNull, "", `kernel "/dev/null": /dev/null is not a regular file`},
		{h, image, "/nowhere", `kernel "` + image + `": open /nowhere: no such file or directory`},
		{h, image, filepath.Join(folder, "empty"), `kernel "` + image + `": ` + folder +
			"/empty has no modules of " + testRelease + " (neither kernel and modules.builtin in it, nor a folder " + testRelease + ", nor lib/modules/" + testRelease + ")"},
		{h, filepath.Join(folder, "old"), "", `kernel "` + folder + `/old": the kernel is 6.0.1 and its modules are of 6.0.2: they belong to different kernels`},
	} {
		if _, err := c.h.readSpec(t.Context(), c.spec, c.modules); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
		if _, err := c.h.digestSpec(t.Context(), c.spec, c.modules, nil); err == nil {
			t.Errorf("%q has a digest", c.spec)
		}
	}
}

// The digest changes with the image and the modules of a guest.
func TestDigestSpec(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	h := host{folder, testRelease}
	seen := map[string]string{}
	digest := func(what, spec string) {
		t.Helper()
		sum, err := h.digestSpec(t.Context(), spec, "", []string{"veth"})
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := h.digestSpec(t.Context(), spec, "", []string{"veth"}); again != sum {
			t.Errorf("%s: the digest differs the second time", what)
		}
		if other, ok := seen[sum]; ok {
			t.Errorf("%s has the digest of %s", what, other)
		}
		seen[sum] = what
	}
	wholeKernel(testRelease).WriteBelow(t, folder)
	digest("an installed kernel", "running")
	kerneltest.FileTree{"lib/modules/" + testRelease + "/kernel/drivers/net/veth.ko": string(makeModule("author=another"))}.WriteBelow(t, folder)
	digest("one with another module", "running")
	kerneltest.FileTree{"boot/vmlinuz-" + testRelease: string(kerneltest.BzImage(testRelease)) + "signature"}.WriteBelow(t, folder)
	digest("one with another image", "running")

	path := saveFile(t, "a.deb", debPackage{files: wholeKernel(testRelease)}.encode(t))
	digest("a package", path)
	if err := os.WriteFile(path, debPackage{files: wholeKernel("6.1.0-57-amd64")}.encode(t), 0o644); err != nil {
		t.Fatal(err)
	}
	digest("another package at the same place", path)
}
