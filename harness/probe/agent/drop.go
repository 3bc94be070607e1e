package agent

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram removes from memory the pages of the program that its start has read, which
// are two thirds of the memory of a probe. A page that is needed is mapped again from the
// page cache. Pages that can be written to stay. It is best effort.
func dropProgram() {
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

// parseProgramPages returns the addresses of a line of /proc/self/maps, proc(5); ok
// reports whether they are pages of the program that cannot be written to.
func parseProgramPages(line, program string) (first, after uintptr, ok bool) {
	var access string
	if _, err := fmt.Sscanf(line, "%x-%x %s", &first, &after, &access); err != nil {
		return 0, 0, false
	}
	return first, after, first < after && !strings.Contains(access, "w") && strings.HasSuffix(line, " "+program)
}
