package kernel

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/kernel/kerneltest"
)

// partOfKernel returns the files of a kernel whose paths contain a word, or do not.
func partOfKernel(word string, with bool) kerneltest.FileTree {
	f := kerneltest.FileTree{}
	for path, content := range wholeKernel(testRelease) {
		if strings.Contains(path, word) == with {
			f[path] = content
		}
	}
	return f
}

// splitKernel returns files as in Fedora, and in Debian since 6.19: the image is in the
// folder of the modules.
func splitKernel() (image, modules kerneltest.FileTree) {
	return kerneltest.FileTree{"./usr/lib/modules/" + testRelease + "/vmlinuz": string(kerneltest.BzImage(testRelease))}, partOfKernel("vmlinuz", false)
}

// A kernel is read from its packages, in each format and compression.
func TestReadPackages(t *testing.T) {
	t.Parallel()
	image, modules := splitKernel()
	both := maps.Clone(modules)
	maps.Copy(both, image)
	deb := func(suffix string, f kerneltest.FileTree) string {
		return saveFile(t, "linux.deb", debPackage{suffix: suffix, files: f}.encode(t))
	}
	rpm := func(suffix string, f kerneltest.FileTree) string {
		return saveFile(t, "kernel.rpm", rpmPackage{suffix: suffix, files: f}.encode(t))
	}
	for name, spec := range map[string]string{
		"deb":             deb("", wholeKernel(testRelease)),
		"deb, gzip":       deb(".gz", wholeKernel(testRelease)),
		"deb, zstd":       deb(".zst", wholeKernel(testRelease)),
		"two debs":        deb(".gz", modules) + "," + deb(".zst", image),
		"with a meta deb": deb("", kerneltest.FileTree{"./usr/share/doc/linux/copyright": "GPL"}) + "," + deb("", both),
		"rpm":             rpm("", both),
		"rpm, gzip":       rpm(".gz", both),
		"two rpms, zstd":  rpm(".zst", image) + "," + rpm(".zst", modules),
	} {
		k, err := ReadSpec(t.Context(), spec, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if k.Release != testRelease || !bytes.Equal(k.Image, kerneltest.BzImage(testRelease)) || !k.modules.builtin["stp"] {
			t.Errorf("%s: kernel %s with %d bytes, built in %v", name, k.Release, len(k.Image), k.modules.builtin)
		}
		order, err := k.modules.loadOrder(k.Release, []string{"nf_nat", "veth"})
		if err != nil || !slices.EqualFunc(order, []string{"nf_defrag_ipv4", "libcrc32c", "nf_conntrack", "nf_nat", "veth"},
			func(m unpackedModule, name string) bool { return m.name == name }) {
			t.Errorf("%s: %v %v", name, order, err)
		}
		if _, err := k.modules.loadOrder(k.Release, []string{"amd"}); err == nil {
			t.Errorf("%s: the module of a graphics card was kept", name)
		}
	}
}

// The error of a package names the file and what is wrong with it.
func TestPackageErrors(t *testing.T) {
	t.Parallel()
	image, modules := splitKernel()
	good := debPackage{suffix: ".gz", files: wholeKernel(testRelease)}.encode(t)
	dataAt := bytes.Index(good, []byte("data.tar.gz"))
	fedora := rpmPackage{suffix: ".gz", files: image}.encode(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-40] ^= 0xff
	lib := "./lib/modules/" + testRelease + "/"
	for _, c := range []struct {
		name     string
		packages [][]byte
		want     string // of the error, after the SPEC and the file
	}{
		{"truncated", [][]byte{good[:dataAt+100]}, "one.deb: a truncated package: 40 of the "},
		{"truncated in a header", [][]byte{good[:dataAt+30]}, "one.deb: a truncated package: unexpected EOF"},
		{"without data", [][]byte{good[:dataAt]}, "one.deb: not a Debian package: it has no data.tar"},
		{"an archive of ar", [][]byte{append([]byte(arMagic), good[dataAt:]...)}, "one.deb: not a Debian package: no control.tar comes before its data.tar"},
		{"no archive of ar", [][]byte{append([]byte(arMagic), strings.Repeat("deb ", 30)...)}, "one.deb: a damaged package: no ar header at byte 8"},
		{"damaged", [][]byte{flipped}, "one.deb: a damaged package: "},
		{"bzip2", [][]byte{bytes.Replace(good, []byte("data.tar.gz "), []byte("data.tar.bz2"), 1)}, `one.deb: "data.tar.bz2" has a compression that snatlab cannot read (it reads xz, zst, gz)`},
		{"arm64", [][]byte{debPackage{arch: "arm64", files: wholeKernel(testRelease)}.encode(t)}, `one.deb: a package for "arm64": snatlab boots kernels for amd64`},
		{"rpm of aarch64", [][]byte{rpmPackage{arch: "aarch64", files: image}.encode(t)}, `one.deb: a package for "aarch64": snatlab boots kernels for amd64`},
		{"truncated rpm", [][]byte{fedora[:len(fedora)-50]}, "one.deb: a truncated package: unexpected EOF"},
		{"rpm without headers", [][]byte{fedora[:100]}, "one.deb: a truncated package: unexpected EOF"},
		{"rpm with another header", [][]byte{bytes.ReplaceAll(fedora, []byte("\x8e\xad\xe8"), []byte("\x8e\xad\xe9"))}, "one.deb: a damaged package: a header of rpm is missing"},
		{"meta", [][]byte{debPackage{depends: "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), kmod | linux-odd", files: kerneltest.FileTree{"./usr/share/doc/x": ""}}.encode(t)},
			"there is no kernel in it (it depends on linux-image-6.1.0-56-cloud-amd64, linux-odd)"},
		{"no kernel, nor a hint", [][]byte{debPackage{files: kerneltest.FileTree{"./bin/ls": ""}}.encode(t)}, "there is no kernel in it"},
		{"image alone", [][]byte{rpmPackage{files: image}.encode(t)},
			"kernel " + testRelease + " without modules: also give the package with its modules, joined by a comma (it depends on kernel-modules-core-uname-r)"},
		{"modules alone", [][]byte{debPackage{files: modules}.encode(t)}, "modules of " + testRelease + " without a kernel: also give the package with the kernel, joined by a comma"},
		{"two kernels", [][]byte{good, debPackage{files: wholeKernel("6.1.0-57-amd64")}.encode(t)}, `two.deb: "./boot/vmlinuz-6.1.0-57-amd64": a second kernel, "6.1.0-57-amd64", after "` + testRelease + `": give a SPEC for each`},
		{"modules of another", [][]byte{debPackage{files: image}.encode(t), debPackage{files: kerneltest.FileTree{"lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": ""}}.encode(t)},
			"the kernel is " + testRelease + " and its modules are of 6.1.0-57-amd64: they belong to different kernels"},
		{"modules of two", [][]byte{good, debPackage{files: kerneltest.FileTree{"lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": ""}}.encode(t)},
			`two.deb: "lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": modules of "6.1.0-57-amd64" next to some of "` + testRelease + `": they belong to different kernels`},
		{"not a kernel", [][]byte{debPackage{files: kerneltest.FileTree{"./boot/vmlinuz-6": "\x7fELF", lib + "kernel/net/x.ko": ""}}.encode(t)},
			"not a kernel that can be booted here: it is an ELF file, as vmlinux is: give its bzImage (arch/x86/boot/bzImage of the build, vmlinuz of a distribution)"},
		{"a release that is none", [][]byte{debPackage{files: kerneltest.FileTree{"./boot/vmlinuz-\x1b[2J": "", lib + "kernel/net/x.ko": ""}}.encode(t)}, "not a kernel that can be booted here: the file is empty"},
	} {
		var spec []string
		for i, data := range c.packages {
			spec = append(spec, saveFile(t, []string{"one.deb", "two.deb"}[i], data))
		}
		_, err := ReadSpec(t.Context(), strings.Join(spec, ","), "")
		if err == nil || !strings.HasPrefix(err.Error(), `kernel "`+strings.Join(spec, ",")+`": `+c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

// Reading a package ends with its context.
func TestPackagesContext(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	for _, data := range [][]byte{debPackage{files: wholeKernel(testRelease)}.encode(t), rpmPackage{files: wholeKernel(testRelease)}.encode(t)} {
		path := saveFile(t, "a", data)
		if _, err := ReadSpec(ctx, path, ""); !errors.Is(err, gone) {
			t.Error(err)
		}
		if _, err := DigestSpec(ctx, path, "", nil); !errors.Is(err, gone) {
			t.Error(err)
		}
	}
}

// xzHello is compressed as dpkg-deb does it: printf hello | xz --check=crc64.
const xzHello = "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x04hello\x00\x00\x00\x00" +
	"\xb1\x37\xb9\xdb\xe5\xda\x1e\x9b\x00\x01\x1d\x05\xb8\x2d\x80\xaf\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04YZ"

// Each compression is undone, within a limit.
func TestDecompress(t *testing.T) {
	t.Parallel()
	for _, packed := range []string{"hello", xzHello, string(compress(t, ".gz", []byte("hello"))), string(compress(t, ".zst", []byte("hello")))} {
		plain, err := decompress(strings.NewReader(packed))
		if err != nil {
			t.Errorf("%q: %v", packed, err)
			continue
		}
		if data, err := readBounded(plain, 5); string(data) != "hello" || err != nil {
			t.Errorf("%q: %q %v", packed, data, err)
		}
		plain.Close()
	}
	if _, err := readBounded(strings.NewReader("hello"), 4); err == nil || err.Error() != "larger than 4 bytes" {
		t.Error(err)
	}
}
