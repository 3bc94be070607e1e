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
)

// Lock keeps two runs from changing one host at the same time. The kernel
// releases it when its process ends, however it ends.
type Lock struct{ file *os.File }

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
		e.Holder.What, e.Holder.PID, e.Holder.Since.Local().Format(time.DateTime))
}

// TakeLock takes the host's lock in dir, or gives a *LockedError at once.
func TakeLock(dir, what string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the lock's folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
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
