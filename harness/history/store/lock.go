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

// writersLock is the file on which each program has a shared lock while it writes or
// removes a run. An unfinished run without a lock was left by a program that died.
// The locks are open file description locks, fcntl_locking(2): they can be queried
// without being taken, so readers block no writer, and an exclusive lock requires
// permission to write.
const writersLock = ".writing"

// holdLock acquires a lock of that kind: a shared one (F_RDLCK), for which it waits, or
// an exclusive one (F_WRLCK). If another program has a lock, it returns unix.EAGAIN
// for an exclusive one. A pipe in place of the file is an error, and does not block.
func holdLock(root *os.Root, kind int16) (*os.File, error) {
	flags := os.O_RDONLY // enough for a shared lock on the file of another user
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
	_ = f.Chmod(0o644) // whatever the umask is; fails for the file of another user
	if err := setLock(f, kind); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// setLock is fcntl(2), which a signal can interrupt.
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

// isInUse reports whether a program is writing or removing a run. An error counts as
// use.
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

// trialLifetime is longer than a trial of the room on any disk, during which there is
// no lock.
const trialLifetime = time.Hour

// findLeftovers returns the names of what programs that died had begun to write or
// to remove. The entries were listed before the lock is queried: a run that was being
// written then has another name by now, or is under a lock.
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

// isLeftover reports whether a name is of an unfinished run, or of an old trial of
// the room.
func isLeftover(info fs.FileInfo) bool {
	hasPrefix := func(prefix string) bool { return strings.HasPrefix(info.Name(), prefix) }
	if info.IsDir() {
		return hasPrefix(newPrefix) || hasPrefix(oldPrefix)
	}
	return info.Mode().IsRegular() && hasPrefix(resultfile.TrialPrefix) && time.Since(info.ModTime()) > trialLifetime
}
