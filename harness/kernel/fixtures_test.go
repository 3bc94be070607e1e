package kernel

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cavaliergopher/cpio"
	"github.com/klauspost/compress/zstd"

	"snatlab/harness/kernel/kerneltest"
)

// Kernels, modules and packages of a few bytes, for tests.

const testRelease = "6.1.0-56-cloud-amd64"

// makeModule returns a module that has only the entries of its .modinfo.
func makeModule(entries ...string) []byte {
	const header, section = 64, 64
	info := strings.Join(entries, "\x00") + "\x00"
	const names = "\x00.modinfo\x00.shstrtab\x00"
	at := uint64(header)
	sections := bytes.NewBuffer(make([]byte, section))
	for _, s := range []struct {
		name, kind uint32
		text       string
	}{{1, 1, info}, {10, 3, names}} {
		fields := []any{s.name, s.kind, uint64(0), uint64(0), at, uint64(len(s.text)), uint32(0), uint32(0), uint64(1), uint64(0)}
		for _, f := range fields {
			binary.Write(sections, binary.LittleEndian, f)
		}
		at += uint64(len(s.text))
	}
	b := bytes.NewBufferString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	for _, f := range []any{uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), at, uint32(0), uint16(header),
		uint16(0), uint16(0), uint16(section), uint16(3), uint16(2)} {
		binary.Write(b, binary.LittleEndian, f)
	}
	b.WriteString(info + names)
	b.Write(sections.Bytes())
	return b.Bytes()
}

// makeModuleWith returns a module of testRelease.
func makeModuleWith(depends string) []byte {
	return makeModule("license=GPL", "depends="+depends, "vermagic="+testRelease+" SMP preempt mod_unload modversions ")
}

// wholeKernel returns the files of a package with a kernel and modules.
func wholeKernel(release string) kerneltest.FileTree {
	lib := "./lib/modules/" + release + "/"
	return kerneltest.FileTree{
		"./boot/vmlinuz-" + release:                         string(kerneltest.BzImage(release)),
		lib + "modules.builtin":                             "kernel/net/802/stp.ko\n",
		lib + "kernel/net/netfilter/nf_nat.ko":              string(makeModuleWith("nf_conntrack")),
		lib + "kernel/net/netfilter/nf_conntrack.ko":        string(makeModuleWith("nf_defrag_ipv4,libcrc32c")),
		lib + "kernel/net/ipv4/netfilter/nf-defrag-ipv4.ko": string(makeModuleWith("")),
		lib + "kernel/lib/libcrc32c.ko":                     string(makeModuleWith("")),
		lib + "kernel/drivers/net/veth.ko":                  string(makeModuleWith("")),
		lib + "kernel/drivers/gpu/drm/amd.ko":               string(makeModuleWith("")),
	}
}

func compress(t *testing.T, suffix string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch suffix {
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".zst":
		w, _ = zstd.NewWriter(&b) // fails only for a bad option
	default:
		return data
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeTar(t *testing.T, f kerneltest.FileTree) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(f)) {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(f[path]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, f[path])
	}
	w.Close()
	return b.Bytes()
}

// debPackage describes a Debian package.
type debPackage struct {
	arch, depends string
	suffix        string // of data.tar
	files         kerneltest.FileTree
}

func (d debPackage) encode(t *testing.T) []byte {
	t.Helper()
	control := fmt.Sprintf("Package: linux-image\nArchitecture: %s\nDepends: %s\nDescription: a kernel\n of few bytes\n", cmp.Or(d.arch, "amd64"), d.depends)
	b := bytes.NewBufferString(arMagic)
	for _, m := range []struct {
		name string
		data []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		{"control.tar.gz", compress(t, ".gz", makeTar(t, kerneltest.FileTree{"./control": control}))},
		{"data.tar" + d.suffix, compress(t, d.suffix, makeTar(t, d.files))},
	} {
		fmt.Fprintf(b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s%s", m.name, 0, 0, 0, "100644", len(m.data), m.data, strings.Repeat("\n", len(m.data)%2))
	}
	return b.Bytes()
}

// rpmPackage describes an rpm package.
type rpmPackage struct {
	arch   string
	suffix string // of the compression of the payload
	files  kerneltest.FileTree
}

func (r rpmPackage) encode(t *testing.T) []byte {
	t.Helper()
	var payload bytes.Buffer
	w := cpio.NewWriter(&payload)
	for _, path := range slices.Sorted(maps.Keys(r.files)) {
		if err := w.WriteHeader(&cpio.Header{Name: path, Mode: cpio.TypeReg | 0o644, Size: int64(len(r.files[path]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, r.files[path])
	}
	w.Close()
	header := func(tags map[uint32][]string) []byte {
		var index, store bytes.Buffer
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			for _, field := range []int{int(tag), typeStringArray, store.Len(), len(tags[tag])} {
				binary.Write(&index, binary.BigEndian, uint32(field))
			}
			store.WriteString(strings.Join(tags[tag], "\x00") + "\x00")
		}
		b := bytes.NewBufferString("\x8e\xad\xe8\x01\x00\x00\x00\x00")
		binary.Write(b, binary.BigEndian, []uint32{uint32(len(tags)), uint32(store.Len())})
		return append(append(b.Bytes(), index.Bytes()...), store.Bytes()...)
	}
	b := bytes.NewBufferString(rpmMagic + strings.Repeat("\x00", 92))
	b.Write(header(map[uint32][]string{1000: {"odd"}})) // 4 bytes: the next header begins after 4 more
	b.WriteString("\x00\x00\x00\x00")
	b.Write(header(map[uint32][]string{tagName: {"kernel-core"}, tagArch: {cmp.Or(r.arch, "x86_64")}, tagPayload: {"cpio"},
		tagRequire: {"/bin/sh", "kernel-modules-core-uname-r"}}))
	b.Write(compress(t, r.suffix, payload.Bytes()))
	return b.Bytes()
}

// saveFile writes a file into a temporary folder.
func saveFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
