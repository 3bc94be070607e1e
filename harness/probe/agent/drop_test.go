package agent

import (
	"encoding/binary"
	"strings"
	"testing"
)

// Pages of a program that the loader has changed are not in its file, and stay.
func TestIsForFixedAddresses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[uint16]bool{2: true, 3: false} { // ET_EXEC, ET_DYN
		header := "\x7fELF" + strings.Repeat("\x00", 12) + string(binary.NativeEndian.AppendUint16(nil, kind))
		if got := isForFixedAddresses(strings.NewReader(header)); got != want {
			t.Errorf("type %d: %v", kind, got)
		}
	}
	if isForFixedAddresses(strings.NewReader("#!/bin/sh")) {
		t.Error("a file without a type is for fixed addresses")
	}
}

// Only pages of the program that cannot be written to are dropped.
func TestParseProgramPages(t *testing.T) {
	t.Parallel()
	const program = "/opt/my snatlab (deleted)"
	for _, c := range []struct {
		line         string
		first, after uintptr
		ok           bool
	}{
		{"00400000-00d7f000 r-xp 00001000 fe:00 1234                             /opt/my snatlab (deleted)", 0x400000, 0xd7f000, true},
		{"00d80000-01a00000 r--p 00980000 fe:00 1234                             /opt/my snatlab (deleted)", 0xd80000, 0x1a00000, true},
		{"01a00000-01b00000 rw-p 01600000 fe:00 1234                             /opt/my snatlab (deleted)", 0x1a00000, 0x1b00000, false},
		{"c000000000-c000400000 r--p 00000000 00:00 0", 0xc000000000, 0xc000400000, false},
		{"7f0000000000-7f0000001000 r--s 00000000 00:01 55                       /dev/shm/snatlab", 0x7f0000000000, 0x7f0000001000, false},
		{"", 0, 0, false},
	} {
		first, after, ok := parseProgramPages(c.line, program)
		if first != c.first || after != c.after || ok != c.ok {
			t.Errorf("%q: %x to %x, %v", c.line, first, after, ok)
		}
	}
}
