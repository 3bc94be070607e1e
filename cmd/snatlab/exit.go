package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"

	"github.com/spf13/cobra"

	"snatlab/harness/printable"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/undo"
)

// The exit codes; a signal's is 128 + its number.
const (
	exitPass         = 0
	exitFail         = 1 // an expectation did not hold
	exitUsage        = 2 // bad usage, or an invalid scenario
	exitUnable       = 3 // this machine cannot do it, or something broke; the host is as it was
	exitInconclusive = 4 // the race did not occur in the baseline, or what was expected could not be decided
	exitLeft         = 5 // the host could not be restored
)

// exitCode is an error that was printed already, or no error at all: it only sets
// the exit code.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that cannot be understood.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v (see %s --help)", e.err, e.command.CommandPath())
}

// printError prints errors to standard error.
func printError(err error) { printErrors(os.Stderr, err) }

// printErrors prints every error that was joined to err once, on lines of its
// own. An exitCode is none. Faults of a file each have a line of their own, the
// way that editors read them.
func printErrors(w io.Writer, err error) {
	printed := map[string]bool{}
	for _, e := range splitJoined(err) {
		if _, only := e.(exitCode); only {
			continue
		}
		text := printable.Lines(e.Error())
		if !errors.As(e, new(strictyaml.Faults)) {
			text = "snatlab: " + text
		}
		if !printed[text] {
			fmt.Fprintln(w, text)
		}
		printed[text] = true
	}
}

// splitJoined lists the errors that were joined to err. An error that has a text of its
// own about those that it wraps is one part.
func splitJoined(err error) (all []error) {
	if err == nil {
		return nil
	}
	if reflect.TypeOf(err) != joined {
		return []error{err}
	}
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		all = append(all, splitJoined(e)...)
	}
	return all
}

// joined is the type of what errors.Join returns: a list without a text.
var joined = reflect.TypeOf(errors.Join(errors.ErrUnsupported))

// codeOf returns the most serious of the exit codes of the errors that were
// joined to err.
func codeOf(err error) int {
	code := exitPass
	for _, e := range splitJoined(err) {
		if c := codeOfPart(e); rankCode(c) > rankCode(code) {
			code = c
		}
	}
	return code
}

// rankCode ranks exit codes: a host that could not be put back comes first, and
// then what the user did or asked for.
func rankCode(code int) int {
	if code > 128 { // a signal's
		return 5
	}
	switch code {
	case exitLeft:
		return 6
	case exitUsage:
		return 4
	case exitFail:
		return 3
	case exitInconclusive:
		return 1
	case exitPass:
		return 0
	}
	return 2 // exitUnable
}

// codeOfPart returns the exit code of one error. The cause of an error may be deep
// inside it.
func codeOfPart(err error) int {
	var (
		code    exitCode
		stopped interrupted
	)
	switch {
	case errors.As(err, new(*undo.LeftError)):
		return exitLeft
	case errors.As(err, &stopped):
		return 128 + int(stopped.signal)
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, new(usageError)), errors.As(err, new(strictyaml.Faults)):
		return exitUsage
	}
	return exitUnable
}
