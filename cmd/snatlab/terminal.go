package main

import (
	"cmp"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"snatlab/harness/report/layout"
	"snatlab/harness/report/progress"
)

// canOverwrite reports whether file is a terminal on which a line can be overwritten.
// A terminal of an unknown type, or of type dumb, shows escape sequences as text.
func canOverwrite(file *os.File) bool {
	switch os.Getenv("TERM") {
	case "", "dumb":
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

// screenOf returns the screen that a report is printed on to file. Only a terminal has a
// width of its own.
func screenOf(file *os.File) layout.Screen {
	on := layout.Screen{ASCII: !isUTF8()}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil {
		on.Width = width
	}
	return on
}

// onScreen returns the function that writes a report for the screen on standard output.
func onScreen[T any](report func(io.Writer, T, layout.Screen) error) func(io.Writer, T) error {
	return func(w io.Writer, record T) error { return report(w, record, screenOf(os.Stdout)) }
}

// isUTF8 reports whether the locale of the user has UTF-8, as setlocale(3) finds out.
func isUTF8() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}

// newProgress returns a Progress on standard error.
func newProgress() *progress.Progress {
	return progress.New(progress.Output{
		Writer:   os.Stderr,
		Screen:   func() layout.Screen { return screenOf(os.Stderr) },
		Terminal: canOverwrite(os.Stderr),
	})
}
