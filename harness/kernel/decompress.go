package kernel

import (
	"bufio"
	"compress/gzip"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// maxWindow bounds the memory that something compressed asks for: zstd --ultra
// -22, the most that packages are compressed with, asks for 128 MB, xz -9 for 64.
const maxWindow = 128 << 20

// decompress undoes a compression, which the first bytes tell. What is not
// compressed is left as it is.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	start, _ := b.Peek(6) // less, of something short
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
