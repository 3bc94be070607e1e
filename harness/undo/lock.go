package undo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/printable"
)

// Lock keeps two runs from changing one host at the same time. The kernel
// releases it when its process ends, however it ends.
type Lock struct{ file *os.File }

const lockFileName = "lock"

// Holder is who has the lock.
type Holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	What  string    `json:"what"` // what it does: "run docker-masquerade"
}

// LockedError says who holds the lock.
type LockedError struct{ Holder Holder }

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 || e.Holder.What == "" || e.Holder.Since.IsZero() {
		return "another snatlab is at work on this host"
	}
	return fmt.Sprintf("another snatlab is at work on this host: %s, pid %d, since %s",
		printable.Line(e.Holder.What), e.Holder.PID, e.Holder.Since.Local().Format(time.DateTime))
}

// TakeLock takes the host's lock in dir, or returns a *LockedError at once. A
// folder or a lock that another user can write to is an *[UntrustedError].
func TakeLock(dir, what string) (*Lock, error) {
	folder, err := makeFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open the lock's folder: %w", err)
	}
	defer folder.Close()
	file, err := folder.openTrusted(lockFileName, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return lockFile(file, what)
}

// TakeStoreLock takes the lock in dir, which may be a folder that users share:
// so its lock may belong to the folder's owner as well, and whoever can write to
// the folder can hold it. It returns a *LockedError at once.
func TakeStoreLock(dir, what string) (*Lock, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the lock's folder: %w", err)
	}
	defer folder.Close()
	var s unix.Stat_t
	if err := unix.Fstat(int(folder.Fd()), &s); err != nil {
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	}
	file, err := openTrustedFile(folder, filepath.Join(dir, lockFileName), os.O_RDWR|os.O_CREATE, uint32(os.Geteuid()), s.Uid)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return lockFile(file, what)
}

// lockFile locks a file and writes into it who does.
func lockFile(file *os.File, what string) (*Lock, error) {
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		locked := &LockedError{}
		if text, err := io.ReadAll(io.LimitReader(file, 4096)); err == nil {
			_ = json.Unmarshal(text, &locked.Holder) // being written: then nobody is named
		}
		return nil, locked
	}
	line, err := json.Marshal(Holder{PID: os.Getpid(), Since: time.Now(), What: what})
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(line, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write lock: %w", err), file.Close())
	}
	return &Lock{file}, nil
}

// Release gives the lock back. Its file stays: to remove it would let a third
// process lock a file that a second one is waiting for.
func (l *Lock) Release() error { return l.file.Close() }
