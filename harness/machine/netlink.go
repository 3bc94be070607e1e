package machine

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// listTries bounds how often a list is asked for that other programs change
// meanwhile.
const listTries = 5

// ListByNetlink asks the kernel for a list, again if the list changed while it was
// read.
func ListByNetlink[T any](list func() ([]T, error)) (all []T, err error) {
	for range listTries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}
