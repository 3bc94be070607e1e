package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness/printable"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/undo"
)

// The exit codes. After a signal the exit code is 128 + the signal's number. The help
// of a command says what a code means there.
const (
	exitPass         = 0
	exitFail         = 1 // an expectation is refuted, or a regression was found
	exitUsage        = 2 // wrong command line, or an invalid scenario
	exitUnable       = 3 // this machine cannot do it, or an error occurred. After a run the host is as it was before
	exitInconclusive = 4 // too little was lost to compare arms, or something could not be decided
	exitLeft         = 5 // a change to the host could not be undone
)

// The exit codes of `snatlab matrix --bisect`, besides exitPass and exitFail.
const (
	exitSkip = 125 // this kernel cannot be judged: git bisect tries another one
	exitStop = 255 // something else is wrong: git bisect ends. It would take exitUsage and exitUnable for a bad kernel
)

// exitCode is an error that only sets the exit code. Nothing is printed for it.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that cannot be understood.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e usageError) Error() string {
	text, between := e.err.Error(), " "
	if strings.Contains(text, "\n") { // a list, which ends with its last line
		between = "\n"
	}
	return fmt.Sprintf("%s%s(see %s --help)", text, between, e.command.CommandPath())
}

// printError prints errors to standard error.
func printError(err error) { printErrors(os.Stderr, err) }

// printErrors prints every error joined to err once, on lines of its own. It does not
// print an exitCode. Each fault of a file is a line in the form that editors read.
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

// splitJoined returns the errors that were joined to err. An error that wraps others in
// a text of its own is one of them.
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

// joined is the type of the errors of errors.Join: a list without a text.
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

// rankCode returns the rank of an exit code; the most serious one has the highest. A
// host that could not be restored is the most serious, and then a signal.
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

// codeOfPart returns the exit code of one error. It depends on the errors that the error
// wraps.
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
