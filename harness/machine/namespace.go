package machine

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NamespaceFunc calls do in a network namespace, and returns its error.
type NamespaceFunc func(do func() error) error

// DoInNamespace calls do in a network namespace, on another thread. A panic of do
// becomes a panic of DoInNamespace.
func DoInNamespace(space netns.NsHandle, do func() error) error {
	var err error
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = doOnThread(space, func() (err error) {
			defer func() { panicked = recover() }()
			return do()
		})
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// doOnThread calls do in a namespace, on the calling thread. If the thread cannot
// return to its own namespace it stays locked, so it exits with the goroutine.
func doOnThread(space netns.NsHandle, do func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err == nil {
		defer home.Close()
		err = netns.Set(space)
	}
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	err = do()
	if back := netns.Set(home); back != nil {
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// Namespace is the network namespace of a process, which may end meanwhile.
type Namespace struct {
	handle netns.NsHandle
	err    error // why it could not be opened
}

// OpenNamespace opens the network namespace of a process. A missing namespace is
// reported when it is first used.
func OpenNamespace(pid int) *Namespace {
	handle, err := netns.GetFromPid(pid)
	if err != nil {
		err = fmt.Errorf("open the network namespace of process %d: %w", pid, err)
	}
	return &Namespace{handle, err}
}

// Do calls do in the namespace.
func (n *Namespace) Do(do func() error) error {
	if n.err != nil {
		return n.err
	}
	return DoInNamespace(n.handle, do)
}

// Close closes the namespace.
func (n *Namespace) Close() error {
	if n.err != nil || !n.handle.IsOpen() {
		return nil
	}
	return n.handle.Close()
}

// doInNewNamespace calls do in a new network namespace, which ends when do returns.
func doInNewNamespace(do func() error) error {
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		home, homeErr := netns.Get()
		if err = homeErr; err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer home.Close()
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			err = do()
		} else {
			err = fmt.Errorf("make a network namespace: %w", err)
		}
		if back := netns.Set(home); back != nil {
			err = errors.Join(err, back)
			return // the thread ends with its goroutine
		}
		runtime.UnlockOSThread()
	}()
	<-done
	return err
}
