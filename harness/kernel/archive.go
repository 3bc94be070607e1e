package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// visitFunc is called with each regular file of an archive.
type visitFunc func(path string, content io.Reader) error

// nextFunc returns the next entry of an archive. The content of an entry that is not
// a regular file is nil. At the end the error is io.EOF.
type nextFunc func() (path string, content io.Reader, err error)

// walkArchive visits the files of a compressed archive. It reads the archive to its
// end, where its checksum is.
func walkArchive(ctx context.Context, packed io.Reader, begin func(io.Reader) nextFunc, visit visitFunc) error {
	plain, err := decompress(packed)
	if err != nil {
		return damagedPackage(err)
	}
	defer plain.Close()
	whole := &trackedReader{Reader: plain, ctx: ctx}
	bounded := &io.LimitedReader{R: whole, N: maxUnpacked}
	err = visitFiles(begin(bounded), visit)
	if err == nil {
		_, err = io.Copy(io.Discard, bounded)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case bounded.N <= 0:
		return fmt.Errorf("a package of more than %d bytes, unpacked", int64(maxUnpacked))
	case whole.err != nil:
		return damagedPackage(whole.err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return damagedPackage(err)
	}
	return err
}

// visitFiles visits each file. An error of the archive becomes damagedPackage; an
// error of visit gets the path of the file.
func visitFiles(next nextFunc, visit visitFunc) error {
	for {
		path, content, err := next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return damagedPackage(err)
		}
		if content == nil {
			continue
		}
		if err := visit(path, content); err != nil {
			return fmt.Errorf("%.200q: %w", path, err)
		}
	}
}

// damagedPackage returns the error of a package that ends early or cannot be parsed.
func damagedPackage(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("a truncated package: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("a damaged package: %w", err)
}
