package kernel

import (
	"bytes"
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
	memory bool     // it has run out of memory
	halted chan struct{}
}

func newConsole() *console { return &console{halted: make(chan struct{})} }

// How much of a console is kept.
const (
	consoleLines = 60
	consoleLine  = 300 // bytes of a line
)

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		c.line = append(c.line, line[:min(len(line), consoleLine-len(c.line))]...)
		if ended {
			c.end()
		}
		rest = after
	}
	if bytes.Contains(c.line, []byte(haltMark)) { // nothing comes after it, no end of a line either
		c.end()
	}
	return len(p), nil
}

// end ends a line.
func (c *console) end() {
	text := strings.TrimSpace(strings.ToValidUTF8(string(c.line), "?"))
	c.line = c.line[:0]
	if text == "" {
		return
	}
	c.lines = append(c.lines, text)
	if over := len(c.lines) - consoleLines; over > 0 {
		c.lines = slices.Delete(c.lines, 0, over)
	}
	c.understand(text)
}

const panicMark = "Kernel panic - not syncing: "

// haltMark is the last word of what unpacks a kernel, which ends in a loop, and
// not with the machine (arch/x86/boot/compressed/error.c).
const haltMark = "-- System halted"

// outOfMemory are what kernels say when there is too little of it: for the
// initramfs to be unpacked, for one process more, for any.
var outOfMemory = []string{"Initramfs unpacking failed: write error", "Out of memory", "out of memory", "System is deadlocked on memory"}

func (c *console) understand(text string) {
	for _, mark := range outOfMemory {
		c.memory = c.memory || strings.Contains(text, mark)
	}
	if _, why, found := strings.Cut(text, panicMark); found && c.panic == "" {
		c.panic = why
	}
	for _, mark := range []string{"BUG: ", "Oops: "} {
		if i := strings.Index(text, mark); i >= 0 && c.oops == "" {
			c.oops = text[i:]
		}
	}
	if strings.Contains(text, haltMark) && c.broken == "" {
		c.broken = strings.TrimSpace(strings.TrimSuffix(text, haltMark))
		if before := len(c.lines) - 2; c.broken == "" && before >= 0 {
			c.broken = c.lines[before]
		}
		close(c.halted)
	}
}

// tail is the last lines.
func (c *console) tail() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.lines)
	if rest := strings.TrimSpace(string(c.line)); rest != "" {
		all = append(all, strings.ToValidUTF8(rest, "?"))
	}
	return all
}

// why says what the kernel could not get over, in one sentence; empty if it
// complained of nothing.
func (c *console) why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	switch {
	case c.broken != "":
		text = "the kernel's image cannot be unpacked: " + c.broken
	case c.panic != "" && c.oops != "":
		text = "the kernel panicked: " + c.panic + " (" + c.oops + ")"
	case c.panic != "":
		text = "the kernel panicked: " + c.panic
	case c.oops != "":
		text = "the kernel said " + c.oops
	}
	if c.memory {
		if text == "" {
			text = "the guest ran out of memory"
		}
		text += " (give it more: --memory)"
	}
	return text
}
