package main

import (
	"os"

	"golang.org/x/term"
)

// canOverwrite reports whether file is a terminal on which a line can be written
// over. One that does not say what it is, or says that it is dumb, shows escape
// sequences as text.
func canOverwrite(file *os.File) bool {
	switch os.Getenv("TERM") {
	case "", "dumb":
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}
