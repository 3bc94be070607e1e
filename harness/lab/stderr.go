package lab

import (
	"strings"
	"sync"
)

// LastWords keeps the end of what a probe writes to its standard error.
type LastWords struct {
	mu   sync.Mutex
	text []byte
}

// kept is how much of it.
const kept = 2048

func (w *LastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - kept; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

// After says how a probe ended and what it said last.
func (w *LastWords) After(how string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := strings.TrimSpace(string(w.text)); last != "" {
		return how + "; its last output: " + last
	}
	return how + "; it left no output"
}
