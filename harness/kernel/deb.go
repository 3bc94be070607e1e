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

// arMagic begins an archive of ar, and with it a package of Debian.
const arMagic = "!<arch>\n"

// maxControl bounds the file that says what a package is.
const maxControl = 1 << 20

// readDeb reads a package of Debian, deb(5): an archive of ar with what is said
// of it (control.tar) and then what is in it (data.tar).
func readDeb(ctx context.Context, file io.ReaderAt, size int64, visit visitFunc) (packageInfo, error) {
	var a packageInfo
	members := arMembers{file: file, size: size, at: int64(len(arMagic))}
	for {
		name, content, err := members.nextMember()
		if err == io.EOF {
			return a, fmt.Errorf("not a package of Debian: it has no data.tar")
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
			err = errors.New("not a package of Debian: no control.tar comes before its data.tar")
		case part == "data" && compressed != "" && compressed != ".xz" && compressed != ".zst" && compressed != ".gz":
			err = fmt.Errorf("%.20q is compressed in a way that is not read here (xz, zst, gz are)", name)
		case part == "data":
			return a, walkArchive(ctx, content, walkTar, visit)
		}
		if err != nil {
			return a, err
		}
	}
}

// arMembers goes through an archive of ar. Its headers are text: the name in 16
// bytes, the size in 10 from the 48th on, and two bytes at the end.
type arMembers struct {
	file     io.ReaderAt
	size, at int64
}

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
		return "", nil, fmt.Errorf("a damaged package: no archive of ar at byte %d", m.at)
	}
	from := m.at + length
	if size > m.size-from {
		return "", nil, fmt.Errorf("a truncated package: %d of the %d bytes of %.20q", max(0, m.size-from), size, name)
	}
	m.at = from + size + size%2
	return name, io.NewSectionReader(m.file, from, size), nil
}

// walkTar goes through an archive of tar.
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

// readControl finds the file "control" in control.tar.
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
		err = errors.New("not a package of Debian: its control.tar names none")
	}
	return a, err
}

// parseControl reads the fields, deb-control(5), that matter here.
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
