package vm

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// newMemfd makes a file that has no name, and is gone with the last process that
// has it open.
func newMemfd(name string, write func(io.Writer) error) (*os.File, error) {
	fd, err := unix.MemfdCreate("snatlab-"+name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := write(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
