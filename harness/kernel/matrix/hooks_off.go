//go:build !testhooks

package matrix

// hookVariables returns nothing: only the guests of a build for tests can be made
// to panic.
func hookVariables() []string { return nil }

// guestWatcher returns the watcher of the run in this guest.
func guestWatcher(watch RunWatcher) RunWatcher { return watch }
