package main

import (
	"os"
	"testing"
)

func TestCanOverwrite(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	defer terminal.Close()
	log, err := os.Create(t.TempDir() + "/log")
	must(t, err)
	defer log.Close()
	for _, c := range []struct {
		name, term string
		file       *os.File
		want       bool
	}{
		{"terminal", "xterm-256color", terminal, true},
		{"dumb terminal", "dumb", terminal, false},
		{"terminal of no name", "", terminal, false},
		{"file", "xterm-256color", log, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TERM", c.term)
			if got := canOverwrite(c.file); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
