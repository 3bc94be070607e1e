package vm

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// newMemfd returns a file in memory with the content that write writes. The kernel
// frees it when the last process closes it.
func newMemfd(name string, write func(io.Writer) error) (*os.File, error) {
	fd, err := unix.MemfdCreate("snatlab-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a file in memory: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := write(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
