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

// Lock prevents two runs from changing one host at the same time. The kernel releases
// it when its process ends for any reason.
type Lock struct{ file *os.File }

const lockFileName = "lock"

// Holder describes the process that has the lock.
type Holder struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	What  string    `json:"what"` // its task: "run of docker-masquerade"
}

// LockedError reports that another process has the lock.
type LockedError struct{ Holder Holder }

// Error names the holder of the lock, if it is known.
func (e *LockedError) Error() string {
	if e.Holder.PID == 0 || e.Holder.What == "" || e.Holder.Since.IsZero() {
		return "another snatlab is active on this host"
	}
	return fmt.Sprintf("another snatlab is active on this host: %s (pid %d, started %s)",
		printable.Line(e.Holder.What), e.Holder.PID, e.Holder.Since.Local().Format(time.DateTime))
}

// TakeLock takes the host's lock in dir. It does not wait: if another process has
// the lock it returns a *[LockedError]. If another user can write to the folder or
// to the lock it returns an *[UntrustedError].
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

// TakeStoreLock takes the lock in dir, which may be a folder that users share. So
// the lock may also belong to the owner of the folder, and every user who can write
// to the folder can hold it. It does not wait: see [TakeLock].
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

// lockFile locks a file and writes its [Holder] into it.
func lockFile(file *os.File, what string) (*Lock, error) {
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		locked := &LockedError{}
		if text, err := io.ReadAll(io.LimitReader(file, 4096)); err == nil {
			_ = json.Unmarshal(text, &locked.Holder) // it may be half written: then the error names no holder
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

// Release releases the lock. Its file stays: if it were removed, a third process
// could lock a new file while a second one locks the old file.
func (l *Lock) Release() error { return l.file.Close() }
