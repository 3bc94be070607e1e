package main

import (
	"debug/elf"
	"testing"
)

// The binary needs no file beside it, since it is copied into an image FROM
// scratch, and no page of it is both writable and executable.
func TestBinarySegments(t *testing.T) {
	file, err := elf.Open(binary)
	must(t, err)
	defer file.Close()
	stack := false
	for _, p := range file.Progs {
		switch {
		case p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC:
			t.Errorf("it has a %v: it is not static", p.Type)
		case p.Type == elf.PT_LOAD && p.Flags&(elf.PF_W|elf.PF_X) == elf.PF_W|elf.PF_X:
			t.Errorf("segment at %#x is writable and executable", p.Vaddr)
		case p.Type == elf.PT_GNU_STACK:
			stack = true
			if p.Flags&elf.PF_X != 0 {
				t.Error("the stack is executable")
			}
		}
	}
	if !stack {
		t.Error("it does not say that its stack is not executable")
	}
}
