package kernel

import (
	"bufio"
	"compress/gzip"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxWindow is the most memory that a decompressor may use: zstd --ultra -22, the
// strongest compression of packages, requires 128 MB, xz -9 requires 64.
const maxWindow = 128 << 20

// decompress returns the plain content of r. It recognises xz, zstd and gzip by the
// first bytes and returns other content unchanged.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	start, _ := b.Peek(6) // fewer bytes, if r is shorter
	switch is := func(magic string) bool { return strings.HasPrefix(string(start), magic) }; {
	case is("\xfd7zXZ\x00"):
		x, err := xz.NewReader(b, maxWindow)
		return io.NopCloser(x), err
	case is("\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case is("\x1f\x8b"):
		return gzip.NewReader(b)
	}
	return io.NopCloser(b), nil
}
