package main

import (
	"os"

	"golang.org/x/term"
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
