package lab

import (
	"strings"
	"sync"
)

// StderrTail keeps the end of what a probe writes to its standard error.
type StderrTail struct {
	mu   sync.Mutex
	text []byte
}

// stderrKept is the length of the tail in bytes.
const stderrKept = 2048

func (w *StderrTail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - stderrKept; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

// DescribeEnd returns how a probe ended, and its last output.
func (w *StderrTail) DescribeEnd(how string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := strings.TrimSpace(string(w.text)); last != "" {
		return how + "; its last output: " + last
	}
	return how + "; it left no output"
}
