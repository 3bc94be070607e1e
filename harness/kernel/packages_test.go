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

// part are the files of a kernel whose paths have a word in them, or have not.
func part(word string, with bool) kerneltest.FileTree {
	f := kerneltest.FileTree{}
	for path, content := range whole(aRelease) {
		if strings.Contains(path, word) == with {
			f[path] = content
		}
	}
	return f
}

// apart are the files of Fedora, and of Debian since 6.19: the image is where the
// modules are.
func apart() (image, modules kerneltest.FileTree) {
	return kerneltest.FileTree{"./usr/lib/modules/" + aRelease + "/vmlinuz": string(kerneltest.BzImage(aRelease))}, part("vmlinuz", false)
}

func TestAKernelIsReadOutOfItsPackages(t *testing.T) {
	image, modules := apart()
	both := maps.Clone(modules)
	maps.Copy(both, image)
	deb := func(suffix string, f kerneltest.FileTree) string {
		return save(t, "linux.deb", deb{suffix: suffix, files: f}.bytes(t))
	}
	rpm := func(suffix string, f kerneltest.FileTree) string {
		return save(t, "kernel.rpm", rpm{suffix: suffix, files: f}.bytes(t))
	}
	for name, spec := range map[string]string{
		"deb":             deb("", whole(aRelease)),
		"deb, gzip":       deb(".gz", whole(aRelease)),
		"deb, zstd":       deb(".zst", whole(aRelease)),
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
		if k.Release != aRelease || !bytes.Equal(k.Image(), kerneltest.BzImage(aRelease)) || !k.modules.builtin["stp"] {
			t.Errorf("%s: kernel %s with %d bytes, built in %v", name, k.Release, len(k.Image()), k.modules.builtin)
		}
		order, err := k.modules.loadOrder(k.Release, []string{"nf_nat", "veth"})
		if err != nil || !slices.EqualFunc(order, []string{"nf_defrag_ipv4", "libcrc32c", "nf_conntrack", "nf_nat", "veth"},
			func(m unpackedModule, name string) bool { return m.name == name }) {
			t.Errorf("%s: %v %v", name, order, err)
		}
		if _, err := k.modules.loadOrder(k.Release, []string{"amd"}); err == nil {
			t.Errorf("%s: a module of a graphics card was kept", name)
		}
	}
}

func TestWhatIsWrongWithPackagesIsSaid(t *testing.T) {
	image, modules := apart()
	good := deb{suffix: ".gz", files: whole(aRelease)}.bytes(t)
	dataAt := bytes.Index(good, []byte("data.tar.gz"))
	fedora := rpm{suffix: ".gz", files: image}.bytes(t)
	flipped := bytes.Clone(good)
	flipped[len(flipped)-40] ^= 0xff
	lib := "./lib/modules/" + aRelease + "/"
	for _, c := range []struct {
		name     string
		packages [][]byte
		want     string // of the error, after the SPEC and the file
	}{
		{"truncated", [][]byte{good[:dataAt+100]}, "one.deb: a truncated package: 40 of the "},
		{"truncated in a header", [][]byte{good[:dataAt+30]}, "one.deb: a truncated package: unexpected EOF"},
		{"without data", [][]byte{good[:dataAt]}, "one.deb: not a package of Debian: it has no data.tar"},
		{"an archive of ar", [][]byte{append([]byte(arMagic), good[dataAt:]...)}, "one.deb: not a package of Debian: no control.tar comes before its data.tar"},
		{"no archive of ar", [][]byte{append([]byte(arMagic), strings.Repeat("deb ", 30)...)}, "one.deb: a damaged package: no archive of ar at byte 8"},
		{"damaged", [][]byte{flipped}, "one.deb: a damaged package: "},
		{"bzip2", [][]byte{bytes.Replace(good, []byte("data.tar.gz "), []byte("data.tar.bz2"), 1)}, `one.deb: "data.tar.bz2" is compressed in a way that is not read here (xz, zst, gz are)`},
		{"arm64", [][]byte{deb{arch: "arm64", files: whole(aRelease)}.bytes(t)}, `one.deb: a package for "arm64": snatlab boots kernels for amd64`},
		{"rpm of aarch64", [][]byte{rpm{arch: "aarch64", files: image}.bytes(t)}, `one.deb: a package for "aarch64": snatlab boots kernels for amd64`},
		{"truncated rpm", [][]byte{fedora[:len(fedora)-50]}, "one.deb: a truncated package: unexpected EOF"},
		{"rpm without headers", [][]byte{fedora[:100]}, "one.deb: a truncated package: unexpected EOF"},
		{"rpm with another header", [][]byte{bytes.ReplaceAll(fedora, []byte("\x8e\xad\xe8"), []byte("\x8e\xad\xe9"))}, "one.deb: a damaged package: no header of rpm where one should be"},
		{"meta", [][]byte{deb{depends: "linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), kmod | linux-odd", files: kerneltest.FileTree{"./usr/share/doc/x": ""}}.bytes(t)},
			"no kernel in it (it depends on linux-image-6.1.0-56-cloud-amd64, linux-odd)"},
		{"no kernel, nor a hint", [][]byte{deb{files: kerneltest.FileTree{"./bin/ls": ""}}.bytes(t)}, "no kernel in it"},
		{"image alone", [][]byte{rpm{files: image}.bytes(t)},
			"kernel " + aRelease + " and no modules: name the package with its modules as well, joined by a comma (it depends on kernel-modules-core-uname-r)"},
		{"modules alone", [][]byte{deb{files: modules}.bytes(t)}, "modules of " + aRelease + " and no kernel: name the package with the kernel as well, joined by a comma"},
		{"two kernels", [][]byte{good, deb{files: whole("6.1.0-57-amd64")}.bytes(t)}, `two.deb: "./boot/vmlinuz-6.1.0-57-amd64": a second kernel, "6.1.0-57-amd64", after "` + aRelease + `": give a SPEC for each`},
		{"modules of another", [][]byte{deb{files: image}.bytes(t), deb{files: kerneltest.FileTree{"lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": ""}}.bytes(t)},
			"the kernel is " + aRelease + " and its modules are of 6.1.0-57-amd64: they belong to different kernels"},
		{"modules of two", [][]byte{good, deb{files: kerneltest.FileTree{"lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": ""}}.bytes(t)},
			`two.deb: "lib/modules/6.1.0-57-amd64/kernel/net/ipv4/x.ko": modules of "6.1.0-57-amd64" next to some of "` + aRelease + `": they belong to different kernels`},
		{"not a kernel", [][]byte{deb{files: kerneltest.FileTree{"./boot/vmlinuz-6": "\x7fELF", lib + "kernel/net/x.ko": ""}}.bytes(t)},
			"not a kernel that can be booted here: it is an ELF file, as vmlinux is: give its bzImage (arch/x86/boot/bzImage of the build, vmlinuz of a distribution)"},
		{"a release that is none", [][]byte{deb{files: kerneltest.FileTree{"./boot/vmlinuz-\x1b[2J": "", lib + "kernel/net/x.ko": ""}}.bytes(t)}, "not a kernel that can be booted here: the file is empty"},
	} {
		var spec []string
		for i, data := range c.packages {
			spec = append(spec, save(t, []string{"one.deb", "two.deb"}[i], data))
		}
		_, err := ReadSpec(t.Context(), strings.Join(spec, ","), "")
		if err == nil || !strings.HasPrefix(err.Error(), `kernel "`+strings.Join(spec, ",")+`": `+c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

func TestReadingAPackageEndsWithItsContext(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	for _, data := range [][]byte{deb{files: whole(aRelease)}.bytes(t), rpm{files: whole(aRelease)}.bytes(t)} {
		path := save(t, "a", data)
		if _, err := ReadSpec(ctx, path, ""); !errors.Is(err, gone) {
			t.Error(err)
		}
		if _, err := DigestSpec(ctx, path, "", nil); !errors.Is(err, gone) {
			t.Error(err)
		}
	}
}

// As dpkg-deb packs: printf hello | xz --check=crc64.
const xzHello = "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x04hello\x00\x00\x00\x00" +
	"\xb1\x37\xb9\xdb\xe5\xda\x1e\x9b\x00\x01\x1d\x05\xb8\x2d\x80\xaf\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04YZ"

func TestEachCompressionIsUndone(t *testing.T) {
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
