package load

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// ownThread locks the caller to its thread until release. The function pin moves that
// thread to one CPU.
func ownThread() (pin func(cpu int) error, release func()) {
	runtime.LockOSThread()
	var before unix.CPUSet
	known := unix.SchedGetaffinity(0, &before) == nil
	pin = func(cpu int) error {
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin to CPU %d: %w", cpu, err)
		}
		return nil
	}
	return pin, func() {
		if known {
			_ = unix.SchedSetaffinity(0, &before) // it was in force before
		}
		runtime.UnlockOSThread()
	}
}
