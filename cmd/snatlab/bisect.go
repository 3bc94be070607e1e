package main

import (
	"slices"
	"strings"

	"snatlab/harness/result"
)

// bisectFlag is the flag of matrix that sets the exit code for git bisect run.
const bisectFlag = "bisect"

// isBisect reports whether a command line is that of matrix with --bisect. It reads the
// arguments themselves, because git would also read the exit code of a command line that
// cannot be parsed as "bad kernel".
func isBisect(args []string) bool {
	return slices.Contains(args, "matrix") && slices.ContainsFunc(args, func(arg string) bool {
		name, value, _ := strings.Cut(arg, "=")
		return name == "--"+bisectFlag && value != "false"
	})
}

// bisectCode returns the exit code for git bisect run. A code that is no answer about the
// kernel ends the bisection: git does that for codes from 128 on.
func bisectCode(code int) int {
	switch {
	case code == exitPass, code == exitFail, code == exitSkip, code > 128:
		return code
	}
	return exitStop
}

// bisectExit returns the exit code of the kernel of a row: good, bad, or cannot tell.
func bisectExit(row result.Row) error {
	switch rowExit(row) {
	case exitPass:
		return nil
	case exitFail:
		return exitCode(exitFail)
	}
	return exitCode(exitSkip)
}
