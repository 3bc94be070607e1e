package agent

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram removes from memory the pages of the program that its start has read, which
// are two thirds of the memory of a probe. A page that is needed is mapped again from the
// page cache. Pages that can be written to stay. It is best effort.
func dropProgram() {
	file, err := os.Open("/proc/self/exe")
	if err != nil {
		return
	}
	defer file.Close()
	if !isForFixedAddresses(file) {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		first, after, ok := parseProgramPages(lines.Text(), program)
		if ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, first, after-first, unix.MADV_DONTNEED)
		}
	}
}

// isForFixedAddresses reports whether an ELF program is loaded where its file says, elf(5).
// Else the loader has written addresses to some of the pages that cannot be written to
// afterwards, and the file does not hold them.
func isForFixedAddresses(program io.ReaderAt) bool {
	const typeField, fixed = 16, 2 // offset of e_type, and ET_EXEC
	var kind [2]byte
	_, err := program.ReadAt(kind[:], typeField)
	return err == nil && binary.NativeEndian.Uint16(kind[:]) == fixed
}

// parseProgramPages returns the addresses of a line of /proc/self/maps, proc(5); ok
// reports whether they are pages of the program that cannot be written to.
func parseProgramPages(line, program string) (first, after uintptr, ok bool) {
	var access string
	if _, err := fmt.Sscanf(line, "%x-%x %s", &first, &after, &access); err != nil {
		return 0, 0, false
	}
	return first, after, first < after && !strings.Contains(access, "w") && strings.HasSuffix(line, " "+program)
}
