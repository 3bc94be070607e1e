package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/report/layout"
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

// A terminal has the width that it was given, and a file that of the default.
func TestScreenOf(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	must(t, err)
	defer terminal.Close()
	log, err := os.Create(t.TempDir() + "/log")
	must(t, err)
	defer log.Close()
	must(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 132}))
	if got := screenOf(terminal).Columns(); got != 132 {
		t.Errorf("a terminal of 132 columns has %d", got)
	}
	if got := screenOf(log).Columns(); got != layout.DefaultWidth {
		t.Errorf("a file has %d columns", got)
	}
}

func TestIsUTF8(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "", false},
		{"", "", "C", false},
		{"", "", "de_DE.UTF-8", true},
		{"", "", "C.utf8", true},
		{"", "POSIX", "de_DE.UTF-8", false},
		{"C", "de_DE.UTF-8", "de_DE.UTF-8", false},
		{"C.UTF-8", "", "C", true},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_CTYPE", c.ctype)
		t.Setenv("LANG", c.lang)
		if got := isUTF8(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
