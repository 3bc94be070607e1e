package main

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"
)

// The binary needs no other file, since it is copied into an image FROM scratch, and
// no page of it is both writable and executable.
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
		t.Error("it has no header for its stack")
	}
}

// No environment variable for tests changes the behaviour of the shipped program, which
// root runs. The names of the variables are in a build for tests, which shows that this
// test can find them.
func TestBinaryWithoutHooks(t *testing.T) {
	for _, c := range []struct {
		program string
		want    int
	}{
		{binary, 0},
		{hooked(t), 3},
	} {
		text, err := os.ReadFile(c.program)
		must(t, err)
		got := 0
		for _, name := range []string{"SNATLAB_TEST_DIE_AT", "SNATLAB_TEST_PANIC_IN", "SNATLAB_TEST_GUESTS"} {
			if bytes.Contains(text, []byte(name)) {
				got++
			}
		}
		if got != c.want || c.want == 0 && bytes.Contains(text, []byte("SNATLAB_TEST_")) {
			t.Errorf("%s has %d of the names of hooks, want %d", c.program, got, c.want)
		}
	}
}
