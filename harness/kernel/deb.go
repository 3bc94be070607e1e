package kernel

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arMagic is how an ar archive begins, and so every Debian package.
const arMagic = "!<arch>\n"

// maxControl is the most bytes of control.tar and of the file control in it.
const maxControl = 1 << 20

// readDeb reads a Debian package, deb(5): an ar archive with the description of the
// package (control.tar), followed by its files (data.tar).
func readDeb(ctx context.Context, file io.ReaderAt, size int64, visit visitFunc) (packageInfo, error) {
	var a packageInfo
	members := arMembers{file: file, size: size, at: int64(len(arMagic))}
	for {
		name, content, err := members.nextMember()
		if err == io.EOF {
			return a, fmt.Errorf("not a Debian package: it has no data.tar")
		}
		if err != nil {
			return a, err
		}
		part, compressed, _ := strings.Cut(name, ".tar")
		switch {
		case part == "control" && a.name != "":
			err = errors.New("a damaged package: two control.tar")
		case part == "control":
			if a, err = readControl(ctx, content); err == nil {
				err = a.checkArch()
			}
		case part == "data" && a.name == "":
			err = errors.New("not a Debian package: no control.tar comes before its data.tar")
		case part == "data" && compressed != "" && compressed != ".xz" && compressed != ".zst" && compressed != ".gz":
			err = fmt.Errorf("%.20q has a compression that snatlab cannot read (it reads xz, zst, gz)", name)
		case part == "data":
			return a, walkArchive(ctx, content, walkTar, visit)
		}
		if err != nil {
			return a, err
		}
	}
}

// arMembers iterates over an ar archive. Its headers are text: the name in 16
// bytes, the size in 10 from the 48th on, and two bytes at the end.
type arMembers struct {
	file     io.ReaderAt
	size, at int64
}

// nextMember returns the next name and content; io.EOF at the end.
func (m *arMembers) nextMember() (string, io.Reader, error) {
	const length, end = 60, "`\n"
	var head [length]byte
	if m.at >= m.size {
		return "", nil, io.EOF
	}
	if _, err := m.file.ReadAt(head[:], m.at); err != nil {
		return "", nil, damagedPackage(err)
	}
	name := strings.TrimRight(string(head[:16]), " /")
	size, err := strconv.ParseInt(strings.TrimRight(string(head[48:58]), " "), 10, 64)
	if err != nil || size < 0 || string(head[58:]) != end {
		return "", nil, fmt.Errorf("a damaged package: no ar header at byte %d", m.at)
	}
	from := m.at + length
	if size > m.size-from {
		return "", nil, fmt.Errorf("a truncated package: %d of the %d bytes of %.20q", max(0, m.size-from), size, name)
	}
	m.at = from + size + size%2
	return name, io.NewSectionReader(m.file, from, size), nil
}

// walkTar returns an iterator over a tar archive.
func walkTar(r io.Reader) nextFunc {
	archive := tar.NewReader(r)
	return func() (string, io.Reader, error) {
		h, err := archive.Next()
		if err != nil || h.Typeflag != tar.TypeReg {
			return "", nil, err
		}
		return h.Name, archive, nil
	}
}

// readControl reads the file "control" in control.tar.
func readControl(ctx context.Context, packed io.Reader) (packageInfo, error) {
	var a packageInfo
	err := walkArchive(ctx, io.LimitReader(packed, maxControl), walkTar, func(name string, content io.Reader) error {
		if strings.TrimPrefix(name, "./") != "control" {
			return nil
		}
		text, err := readBounded(content, maxControl)
		a = parseControl(text)
		return err
	})
	if err == nil && a.name == "" {
		err = errors.New("not a Debian package: its control.tar names no package")
	}
	return a, err
}

// parseControl returns the name, architecture and dependencies, deb-control(5).
func parseControl(text []byte) packageInfo {
	var a packageInfo
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), ": ")
		switch key {
		case "Package":
			a.name = value
		case "Architecture":
			a.arch = value
		case "Depends":
			for _, one := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == '|' }) {
				if words := strings.Fields(one); len(words) > 0 { // the name, then its version
					a.depends = append(a.depends, words[0])
				}
			}
		}
	}
	return a
}
