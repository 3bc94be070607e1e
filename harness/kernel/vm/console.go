package vm

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
)

// console keeps the end of what a kernel writes to its console, and the lines
// that say why it cannot go on.
type console struct {
	mu     sync.Mutex
	line   []byte   // that is being written
	lines  []string // the last ones
	panic  string   // "Kernel panic - not syncing: " and why
	oops   string   // what came before it: "BUG: kernel NULL pointer dereference, ..."
	broken string   // why it could not be unpacked
	init   string   // what our own program said before it ended
	memory bool     // it has run out of memory

	halted chan struct{} // closed when the kernel has stopped without an end
	halt   func()
}

func newConsole() *console {
	halted := make(chan struct{})
	return &console{halted: halted, halt: sync.OnceFunc(func() { close(halted) })}
}

// How much of a console is kept.
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
	if bytes.Contains(c.line, []byte(haltMark)) { // nothing comes after it, no end of a line either
		c.endLine()
	}
	return len(p), nil
}

// endLine ends a line.
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

// haltMark is the last word of what unpacks a kernel, which ends in a loop, and
// not with the machine (arch/x86/boot/compressed/error.c).
const haltMark = "-- System halted"

// outOfMemory are what kernels say when there is too little of it: for the
// initramfs to be unpacked, for one process more, for any.
var outOfMemory = []string{"Initramfs unpacking failed: write error", "Out of memory", "out of memory", "System is deadlocked on memory"}

func (c *console) parseLine(text string) {
	for _, mark := range outOfMemory {
		c.memory = c.memory || strings.Contains(text, mark)
	}
	if _, why, found := strings.Cut(text, panicMark); found && c.panic == "" {
		c.panic = why
	}
	if said, ours := strings.CutPrefix(text, "snatlab: "); ours {
		c.init = said
	}
	for _, mark := range []string{"BUG: ", "Oops: "} {
		// A host that is busy lets a guest's CPU stand still, which is no fault of the kernel.
		if i := strings.Index(text, mark); i >= 0 && c.oops == "" && !strings.Contains(text, "lockup") {
			c.oops = text[i:]
		}
	}
	if strings.Contains(text, haltMark) {
		c.broken = cmp.Or(c.broken, strings.TrimSpace(strings.TrimSuffix(text, haltMark)), c.lineBefore(), "System halted")
		c.halt()
	}
}

// lineBefore is the last line but one; empty if there is none.
func (c *console) lineBefore() string {
	if before := len(c.lines) - 2; before >= 0 {
		return c.lines[before]
	}
	return ""
}

// lastLines is the last lines.
func (c *console) lastLines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.lines)
	if rest := strings.TrimSpace(string(c.line)); rest != "" {
		all = append(all, strings.ToValidUTF8(rest, "?"))
	}
	return all
}

// explainEnd gives a reason with what the kernel says of it: in its place, if the
// kernel could not go on.
func (c *console) explainEnd(reason string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != "":
		reason = "the kernel's image cannot be unpacked: " + c.broken
	case c.panic != "" && c.init != "": // it panics when init ends
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
