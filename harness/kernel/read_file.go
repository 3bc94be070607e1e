package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// openRegular opens a regular file. A pipe is an error, because it may never end.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) { // only root can read the images of Ubuntu
		return nil, fmt.Errorf("%w (run as root, or make a copy that you may read)", err)
	}
	return file, err
}

// readFile reads a file. A file of more than most bytes is an error.
func readFile(path string, most int64) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := readBounded(file, most)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// readBounded reads to the end. More than most bytes are an error.
func readBounded(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("larger than %d bytes", most)
	}
	return data, err
}

// trackedReader reads until a context ends and keeps the error of its reader.
type trackedReader struct {
	io.Reader
	ctx context.Context
	err error // of the reader, except io.EOF
}

func (t *trackedReader) Read(p []byte) (int, error) {
	if t.ctx.Err() != nil {
		return 0, context.Cause(t.ctx)
	}
	n, err := t.Reader.Read(p)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

// fileFormat is the kind of a file, by its first bytes.
type fileFormat int

const (
	formatImage fileFormat = iota // or a file that is neither .deb nor .rpm
	formatDeb
	formatRPM
)

func detectFormat(path string) (fileFormat, error) {
	file, err := openRegular(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	start := make([]byte, len(arMagic))
	if _, err := io.ReadFull(file, start); err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case string(start) == arMagic:
		return formatDeb, nil
	case strings.HasPrefix(string(start), rpmMagic):
		return formatRPM, nil
	}
	return formatImage, nil
}
