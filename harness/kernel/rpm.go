package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cavaliergopher/cpio"
)

// rpmMagic is how an rpm package begins.
const rpmMagic = "\xed\xab\xee\xdb"

// The header of a package, lib/rpmtag.h in rpm.
const (
	tagName    = 1000
	tagArch    = 1022
	tagRequire = 1049
	tagPayload = 1124 // its format: "cpio"

	typeString      = 6
	typeStringArray = 8
)

// maxRPMHeader is the most bytes that rpm itself accepts for the index of a header,
// and for its store.
const maxRPMHeader = 32 << 20

// readRPM reads an rpm package: a lead of 96 bytes, for programs from before 1997, a
// header with signatures, a header with the description of the package, and a cpio
// archive.
func readRPM(ctx context.Context, file io.Reader, visit visitFunc) (packageInfo, error) {
	r := bufio.NewReaderSize(file, 1<<16)
	if _, err := r.Discard(96); err != nil {
		return packageInfo{}, damagedPackage(err)
	}
	signature, err := readRPMHeader(r)
	if err != nil {
		return packageInfo{}, err
	}
	if _, err := r.Discard(-len(signature.store) & 7); err != nil {
		return packageInfo{}, damagedPackage(err)
	}
	h, err := readRPMHeader(r)
	if err != nil {
		return packageInfo{}, err
	}
	a := packageInfo{name: h.stringTag(tagName), arch: h.stringTag(tagArch), depends: h.stringsTag(tagRequire)}
	switch a.arch {
	case "x86_64":
		a.arch = "amd64"
	case "noarch":
		a.arch = "all"
	}
	if format := h.stringTag(tagPayload); format != "cpio" {
		return a, fmt.Errorf("its files are in the format %.20q, which snatlab cannot read (it reads cpio)", format)
	}
	if err := a.checkArch(); err != nil {
		return a, err
	}
	return a, walkArchive(ctx, r, walkCPIO, visit)
}

// rpmHeader is an index of tags and the values that they point to.
type rpmHeader struct {
	index []byte // 16 bytes a tag: its number, type, offset, count
	store []byte
}

// readRPMHeader reads a header within its bounds.
func readRPMHeader(r io.Reader) (rpmHeader, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return rpmHeader{}, damagedPackage(err)
	}
	tags, size := int64(binary.BigEndian.Uint32(head[8:])), int64(binary.BigEndian.Uint32(head[12:]))
	if !bytes.HasPrefix(head[:], []byte{0x8e, 0xad, 0xe8, 1}) || tags*16 > maxRPMHeader || size > maxRPMHeader {
		return rpmHeader{}, errors.New("a damaged package: a header of rpm is missing")
	}
	data, err := io.ReadAll(io.LimitReader(r, tags*16+size))
	if err == nil && int64(len(data)) < tags*16+size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return rpmHeader{}, damagedPackage(err)
	}
	return rpmHeader{data[:tags*16], data[tags*16:]}, nil
}

// stringTag returns the first string of a tag; empty if there is none.
func (h rpmHeader) stringTag(tag uint32) string {
	if all := h.stringsTag(tag); len(all) > 0 {
		return all[0]
	}
	return ""
}

// stringsTag returns the strings of a tag, each ended by a zero byte in the store.
func (h rpmHeader) stringsTag(tag uint32) []string {
	for index := h.index; len(index) >= 16; index = index[16:] {
		field := func(i int) uint32 { return binary.BigEndian.Uint32(index[4*i:]) }
		if field(0) != tag || field(1) != typeString && field(1) != typeStringArray || uint64(field(2)) > uint64(len(h.store)) {
			continue
		}
		var all []string
		left := h.store[field(2):]
		for range field(3) {
			text, rest, ok := bytes.Cut(left, []byte{0})
			if !ok {
				break
			}
			all, left = append(all, string(text)), rest
		}
		return all
	}
	return nil
}

// walkCPIO returns an iterator over a cpio archive.
func walkCPIO(r io.Reader) nextFunc {
	archive := cpio.NewReader(r)
	return func() (string, io.Reader, error) {
		h, err := archive.Next()
		if err != nil {
			return "", nil, err
		}
		if h.Size < 0 { // the library reads "-0000001" as a number (v1.0.1)
			return "", nil, cpio.ErrHeader
		}
		if !h.Mode.IsRegular() {
			return "", nil, nil
		}
		return h.Name, archive, nil
	}
}
