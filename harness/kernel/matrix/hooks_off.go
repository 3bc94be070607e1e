//go:build !testhooks

package matrix

// replaceGuests returns boot: only a build for tests has recorded guests.
func replaceGuests(boot bootFunc) bootFunc { return boot }

// hookVariables returns nil: only guests of a build for tests can be made to panic.
func hookVariables() []string { return nil }

// guestWatcher returns watch.
func guestWatcher(watch RunWatcher) RunWatcher { return watch }
