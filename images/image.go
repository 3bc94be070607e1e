// Package images makes a container image that holds one static binary and nothing else:
// the image of the probes in containers and in Pods. It needs no engine and no builder.
//
// The image of a binary is always the same, to the byte, wherever it is made. Its tag is
// the beginning of its ID, so a tag names one binary.
package images

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Repository is the name of the probe image, without a tag.
const Repository = "snatlab-probe"

// LocalRepository is its name in clusters. No registry answers to it: an engine takes the
// first part for the name of a registry on its own machine. So a node that lacks the
// image pulls no image of a stranger.
const LocalRepository = "localhost/" + Repository

// Label is the label of every image that this package makes.
const Label = "snatlab.probe"

// tagDigits is the number of hexadecimal digits of a tag.
const tagDigits = 12

// binaryPath is the path of the binary in its image.
const binaryPath = "/snatlab"

// nobody is the user and the group of a container that asks for no other: it owns no
// file, and is not root.
const nobody = "65532:65532"

// Image is the image of a static binary. Its file stays open, since it is read again
// when the image is written.
type Image struct {
	// Platform is where the binary runs: linux/amd64.
	Platform string
	// Tag is the default tag.
	Tag string

	file   *os.File
	layer  v1.Layer
	config []byte // the configuration, whose hash is the ID of the image
	id     v1.Hash
}

// Open opens the image of the binary at path.
func Open(path string) (*Image, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	i := &Image{file: file}
	if err := i.describe(); err != nil {
		file.Close()
		return nil, err
	}
	return i, nil
}

// LocalName returns the default name of the image in clusters.
func (i *Image) LocalName() string { return LocalRepository + ":" + i.Tag }

// Close closes the file of the binary.
func (i *Image) Close() error { return i.file.Close() }

// describe makes everything but the compressed layer, which is made when it is written.
func (i *Image) describe() error {
	arch, err := Arch(i.file)
	if err != nil {
		return err
	}
	i.Platform = "linux/" + arch
	content, err := newBinaryLayer(i.file)
	if err != nil {
		return err
	}
	if i.layer, err = partial.UncompressedToLayer(content); err != nil {
		return err
	}
	// No time of creation: the same binary makes the same image.
	i.config, err = json.Marshal(v1.ConfigFile{
		Architecture: arch, OS: "linux",
		Config: v1.Config{
			Entrypoint: []string{binaryPath}, WorkingDir: "/", User: nobody,
			Labels: map[string]string{Label: "1"},
		},
		RootFS:  v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{content.diffID}},
		History: []v1.History{{CreatedBy: "snatlab"}},
	})
	if err != nil {
		return err
	}
	i.id, _, err = v1.SHA256(bytes.NewReader(i.config))
	if err == nil {
		i.Tag = i.id.Hex[:tagDigits]
	}
	return err
}

// archs maps the architecture of an ELF binary to Go's name.
var archs = map[elf.Machine]string{
	elf.EM_386: "386", elf.EM_AARCH64: "arm64", elf.EM_ARM: "arm", elf.EM_LOONGARCH: "loong64",
	elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_X86_64: "amd64",
}

// Arch returns the architecture of a binary, as Go names it: amd64. It is an error if the
// binary needs a dynamic linker, because the binary is the only file in its image.
func Arch(binary io.ReaderAt) (string, error) {
	parsed, err := elf.NewFile(binary)
	if err != nil {
		return "", fmt.Errorf("not an ELF binary: %w", err)
	}
	for _, p := range parsed.Progs {
		if p.Type == elf.PT_INTERP {
			return "", errors.New("not a static binary")
		}
	}
	if parsed.Machine == elf.EM_PPC64 && parsed.Data == elf.ELFDATA2LSB {
		return "ppc64le", nil
	}
	if arch, ok := archs[parsed.Machine]; ok {
		return arch, nil
	}
	return "", fmt.Errorf("a binary for %v: no image is made for it", parsed.Machine)
}

// binaryLayer is the file system of the image: a tar archive with the binary.
type binaryLayer struct {
	binary io.ReaderAt
	size   int64
	header []byte // the header of the archive's only entry
	diffID v1.Hash
}

func newBinaryLayer(file *os.File) (*binaryLayer, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var header bytes.Buffer
	err = tar.NewWriter(&header).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: binaryPath[1:], Mode: 0o755, Size: info.Size(), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return nil, err
	}
	l := &binaryLayer{binary: file, size: info.Size(), header: header.Bytes()}
	if l.diffID, _, err = v1.SHA256(l.read()); err != nil {
		return nil, fmt.Errorf("hash: %w", err)
	}
	return l, nil
}

// read returns the archive: the header, the binary filled up to whole blocks, and two
// empty blocks. The binary is never in memory as a whole.
func (l *binaryLayer) read() io.Reader {
	const block = 512
	rest := make([]byte, (block-l.size%block)%block+2*block)
	return io.MultiReader(bytes.NewReader(l.header), io.NewSectionReader(l.binary, 0, l.size), bytes.NewReader(rest))
}

// These methods make it a layer of go-containerregistry, which compresses it.

func (l *binaryLayer) DiffID() (v1.Hash, error)             { return l.diffID, nil }
func (l *binaryLayer) Uncompressed() (io.ReadCloser, error) { return io.NopCloser(l.read()), nil }
func (l *binaryLayer) MediaType() (types.MediaType, error)  { return types.OCILayer, nil }
