package vm

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
)

// console keeps the last lines of a kernel's console, and the lines that explain why
// the kernel cannot continue.
type console struct {
	mu     sync.Mutex
	line   []byte   // the line that is being written
	lines  []string // the last lines
	panic  string   // the reason after "Kernel panic - not syncing: "
	oops   string   // the first fault before it: "BUG: kernel NULL pointer dereference, ..."
	broken string   // why the image could not be unpacked
	init   string   // the error of our own program before it ended
	memory bool     // the kernel ran out of memory

	halted chan struct{} // closed when the kernel has stopped, but the machine runs on
	halt   func()
}

func newConsole() *console {
	halted := make(chan struct{})
	return &console{halted: halted, halt: sync.OnceFunc(func() { close(halted) })}
}

// The limits of the console that is kept.
const (
	maxConsoleLines = 60
	maxConsoleLine  = 300 // bytes of a line
)

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		c.line = append(c.line, line[:min(len(line), maxConsoleLine-len(c.line))]...)
		if ended {
			c.endLine()
		}
		rest = after
	}
	if bytes.Contains(c.line, []byte(haltMark)) { // nothing follows it, not even the end of the line
		c.endLine()
	}
	return len(p), nil
}

// endLine stores the current line, unless it is empty.
func (c *console) endLine() {
	text := strings.TrimSpace(strings.ToValidUTF8(string(c.line), "?"))
	c.line = c.line[:0]
	if text == "" {
		return
	}
	c.lines = append(c.lines, text)
	if over := len(c.lines) - maxConsoleLines; over > 0 {
		c.lines = slices.Delete(c.lines, 0, over)
	}
	c.parseLine(text)
}

const panicMark = "Kernel panic - not syncing: "

// haltMark is the last output of the code that unpacks a kernel. After it the code
// loops, so the machine does not end (arch/x86/boot/compressed/error.c).
const haltMark = "-- System halted"

// outOfMemory is the messages of kernels that have too little memory: to unpack the
// initramfs, for one more process, for any process.
var outOfMemory = []string{"Initramfs unpacking failed: write error", "Out of memory", "out of memory", "System is deadlocked on memory"}

// parseLine records a line that explains why the kernel cannot continue.
func (c *console) parseLine(text string) {
	for _, mark := range outOfMemory {
		c.memory = c.memory || strings.Contains(text, mark)
	}
	if _, why, found := strings.Cut(text, panicMark); found && c.panic == "" {
		c.panic = why
	}
	if message, ours := strings.CutPrefix(text, "snatlab: "); ours {
		c.init = message
	}
	for _, mark := range []string{"BUG: ", "Oops: "} {
		// On a busy host the CPU of a guest stands still, which is no fault of its kernel.
		if i := strings.Index(text, mark); i >= 0 && c.oops == "" && !strings.Contains(text, "lockup") {
			c.oops = text[i:]
		}
	}
	if strings.Contains(text, haltMark) {
		c.broken = cmp.Or(c.broken, strings.TrimSpace(strings.TrimSuffix(text, haltMark)), c.lineBefore(), "System halted")
		c.halt()
	}
}

// lineBefore returns the last line but one; empty if there is none.
func (c *console) lineBefore() string {
	if before := len(c.lines) - 2; before >= 0 {
		return c.lines[before]
	}
	return ""
}

// lastLines returns the last lines, including one that has not ended.
func (c *console) lastLines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.lines)
	if rest := strings.TrimSpace(string(c.line)); rest != "" {
		all = append(all, strings.ToValidUTF8(rest, "?"))
	}
	return all
}

// explainEnd adds the kernel's explanation to reason. If the kernel could not continue,
// its explanation replaces reason.
func (c *console) explainEnd(reason string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != "":
		reason = "the kernel's image cannot be unpacked: " + c.broken
	case c.panic != "" && c.init != "": // a kernel panics when init ends
		reason = "in the guest: " + c.init
	case c.panic != "" && c.oops != "":
		reason = "the kernel panicked: " + c.panic + " (" + c.oops + ")"
	case c.panic != "":
		reason = "the kernel panicked: " + c.panic
	case c.init != "":
		reason = "in the guest: " + c.init
	case c.oops != "":
		reason += " (the kernel said " + c.oops + ")"
	}
	if c.memory {
		reason += " (it ran out of memory; give it more: --memory)"
	}
	return reason
}
