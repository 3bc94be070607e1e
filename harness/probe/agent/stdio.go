package agent

import (
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"snatlab/harness/probe"
)

// gcPercent is the garbage that a probe keeps, in percent of what it needs.
const gcPercent = 20

// ServeStdio serves a controller over standard input and output with an agent. When the input ends
// it exits the process at once, even in the middle of a load, so that a probe does not
// outlive its controller.
func ServeStdio(agent Agent) error {
	// A probe's memory counts once for each client of a lab, and its time only while it
	// fires, when nothing is collected: so garbage is collected early.
	debug.SetGCPercent(gcPercent)
	// Best effort: on a machine that uses huge pages for all memory, a heap of 5 MB would
	// occupy 10 MB.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	dropProgram()
	probe.ForgetPeakRSS()
	// Best effort: a build with cgo cannot set it for all threads.
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	in, w := io.Pipe()
	go func() {
		if _, err := io.Copy(w, os.Stdin); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}()
	return agent.Serve(in, os.Stdout)
}
