//go:build !testhooks

package matrix

// hookVariables returns nil: only guests of a build for tests can be made to panic.
func hookVariables() []string { return nil }

// guestWatcher returns watch.
func guestWatcher(watch RunWatcher) RunWatcher { return watch }
