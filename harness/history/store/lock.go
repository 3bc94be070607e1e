package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/result/resultfile"
)

// Whoever writes or removes a run shares a lock on this file meanwhile, so that
// what lies about without it was left by somebody who died. The locks are OFD's,
// fcntl_locking(2): to look who has one takes no lock, so that readers keep nobody
// waiting, and to take it alone takes the right to write.
const writersLock = ".writing"

// holdLock locks the store's lock file, shared or alone, and waits for whoever has
// it alone. Alone, it gives unix.EAGAIN where somebody is at work. A pipe in its
// place keeps nobody waiting.
func holdLock(root *os.Root, kind int16) (*os.File, error) {
	flags := os.O_RDONLY // all that a shared one takes, where somebody else has made the file
	if kind == unix.F_WRLCK {
		flags = os.O_RDWR
	}
	f, err := root.OpenFile(writersLock, flags|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, f.Close(), fmt.Errorf("%s is no regular file (remove it)", writersLock))
	}
	_ = f.Chmod(0o644) // whatever the umask says; fails where it is somebody else's
	if err := setLock(f, kind); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func setLock(f *os.File, kind int16) error {
	wait := unix.F_OFD_SETLKW
	if kind == unix.F_WRLCK {
		wait = unix.F_OFD_SETLK
	}
	for {
		err := unix.FcntlFlock(f.Fd(), wait, &unix.Flock_t{Type: kind})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isInUse reports whether anybody writes or removes a run.
func isInUse(root *os.Root) bool {
	f, err := root.OpenFile(writersLock, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	held := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &held)
	return err != nil || held.Type != unix.F_UNLCK
}

// trialLifetime is longer than any disk takes for a trial of its room, which takes no
// lock.
const trialLifetime = time.Hour

// findLeftovers are what a program that died had begun to write or to remove.
// Entries are listed before it is asked whether anybody is at work: what somebody
// had begun by then has another name by now, or a lock.
func findLeftovers(root *os.Root, entries []fs.DirEntry) (names []string) {
	if isInUse(root) {
		return nil
	}
	for _, entry := range entries {
		if info, err := root.Lstat(entry.Name()); err == nil && isLeftover(info) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// isLeftover tells what nobody is at work on any more.
func isLeftover(info fs.FileInfo) bool {
	is := func(prefix string) bool { return strings.HasPrefix(info.Name(), prefix) }
	if info.IsDir() {
		return is(newPrefix) || is(oldPrefix)
	}
	return info.Mode().IsRegular() && is(resultfile.TrialPrefix) && time.Since(info.ModTime()) > trialLifetime
}
