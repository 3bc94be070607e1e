package vm

import (
	"fmt"
	"strings"
	"testing"
)

// A console explains why the kernel could not continue, in whatever pieces its output
// arrives.
func TestConsoleExplainEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ output, want string }{
		{"Linux version 6.1.0\n[    0.1] Run /init as init process\n", "it ended"},
		{"[    2.8] Kernel panic - not syncing: sysrq triggered crash\r\n[    2.9] CPU: 1\r\n", "the kernel panicked: sysrq triggered crash"},
		{"[    1.1] BUG: kernel NULL pointer dereference, address: 0\n[    1.2] Oops: 0002 [#1]\n[    1.3] Kernel panic - not syncing: Fatal exception\n",
			"the kernel panicked: Fatal exception (BUG: kernel NULL pointer dereference, address: 0)"},
		{"[    1.2] Oops: 0000 [#1] SMP\n", "it ended (the kernel said Oops: 0000 [#1] SMP)"},
		{"[   40.0] watchdog: BUG: soft lockup - CPU#1 stuck for 26s!\n", "it ended"},
		{"\n -- System halted\n -- System halted\n", "the kernel's image cannot be unpacked: System halted"},
		{"snatlab: open the second serial port: no such device (CONFIG_SERIAL_8250)\n",
			"in the guest: open the second serial port: no such device (CONFIG_SERIAL_8250)"},
		{"XZ-compressed data is corrupt\n\n -- System halted", "the kernel's image cannot be unpacked: XZ-compressed data is corrupt"},
		{"[    0.9] Initramfs unpacking failed: write error\n[    1.0] Kernel panic - not syncing: No working init found.\n",
			"the kernel panicked: No working init found. (it ran out of memory; give it more: --memory)"},
		{"[    9.0] Out of memory: Killed process 7 (snatlab)\n", "it ended (it ran out of memory; give it more: --memory)"},
	} {
		for _, piece := range []int{1, 7, 1000} { // bytes per write
			out := newConsole()
			for rest := c.output; rest != ""; rest = rest[min(piece, len(rest)):] {
				fmt.Fprint(out, rest[:min(piece, len(rest))])
			}
			if got := out.explainEnd("it ended"); got != c.want {
				t.Errorf("%q in pieces of %d: got %q, want %q", c.output, piece, got, c.want)
			}
		}
	}
}

// A console keeps its last lines, each up to a limit.
func TestConsoleLastLines(t *testing.T) {
	t.Parallel()
	out := newConsole()
	for i := range 1000 {
		fmt.Fprintf(out, "line %d %s\n", i, strings.Repeat("x", 10_000))
	}
	fmt.Fprint(out, "and no \xff more")
	tail := out.lastLines()
	if len(tail) != maxConsoleLines+1 || !strings.HasPrefix(tail[0], "line 940 x") || len(tail[0]) != maxConsoleLine || tail[maxConsoleLines] != "and no ? more" {
		t.Errorf("%d lines, %q", len(tail), tail)
	}
}

// A machine that halted is not waited for.
func TestConsoleHalted(t *testing.T) {
	t.Parallel()
	out := newConsole()
	fmt.Fprint(out, "Decoding failed\n\n -- System halted")
	select {
	case <-out.halted:
	default:
		t.Error("halted is not closed")
	}
	fmt.Fprint(out, "\n -- System halted\n") // a second mark does no harm
}
