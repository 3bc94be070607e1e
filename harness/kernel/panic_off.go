//go:build !testhooks

package kernel

// hookVariables returns nothing: only the guests of a build for tests can be made
// to panic.
func hookVariables() string { return "" }

// guestWatcher returns the watcher of the run in this guest.
func guestWatcher(v *voice) Watcher { return v }
