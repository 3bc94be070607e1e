package store

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// What begins with hidden is no run: one that is being written, or removed.
const (
	hiddenPrefix = "."
	newPrefix    = ".new-"
	oldPrefix    = ".old-"
)

const summaryName = "summary.json"

// summarySchema names the meaning of the fields of a summary.
const summarySchema = "snatlab.summary/v1"

// A summary is the file next to a result.
type summary struct {
	Schema   string            `json:"schema"`
	Size     int64             `json:"size"`     // of the result that it was made of
	Modified time.Time         `json:"modified"` // when that was last changed
	Run      result.RunSummary `json:"run"`
}

// idForm are those that a run's folder may have.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Put keeps a result, whole or not at all. A run that is there already is an
// error that wraps fs.ErrExist. An error that comes last, where the disk takes the
// result and not its name, says that the run is there for now.
func (s *Store) Put(r *result.Result) error {
	if !idForm.MatchString(r.ID) {
		return fmt.Errorf("keep a result: its ID, %.100q, is no name for a folder", r.ID)
	}
	if err := s.putRun(r); err != nil {
		return fmt.Errorf("keep the result of %s in %s: %w%s", r.ID, s.dir, err, hintFor(err))
	}
	return nil
}

// hintFor is what the user can do about an error of the file system.
func hintFor(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return " (make room, with `snatlab history prune` for one, or name another folder with --store)"
	case errors.Is(err, unix.EROFS):
		return " (mount it read-write, or name another folder with --store)"
	case errors.Is(err, fs.ErrPermission):
		return " (run as the folder's owner, or name another one with --store)"
	}
	return ""
}

// putRun goes through os.Root: whoever else may write to the store's folder cannot
// lead root out of it by a symbolic link, nor to another one in its place.
func (s *Store) putRun(r *result.Result) (err error) {
	root, err := place.MakeFolder(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	held, err := holdLock(root, unix.F_RDLCK)
	if err != nil {
		return err
	}
	defer held.Close()
	temporary := newPrefix + r.ID + "-" + rand.Text()
	if err := root.Mkdir(temporary, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.RemoveAll(temporary))
		}
	}()
	if err := writeRunFiles(root, temporary, r); err != nil {
		return err
	}
	return publishFolder(root, temporary, r.ID, syncDir)
}

// publishFolder gives a run its name, and makes that last.
func publishFolder(root *os.Root, temporary, id string, sync func(*os.Root) error) error {
	err := root.Rename(temporary, id)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("such a run is there: %w", fs.ErrExist)
	}
	if err != nil {
		return err
	}
	if err := sync(root); err != nil {
		return fmt.Errorf("it is there, and may be gone after a crash of the machine: %w", err)
	}
	return nil
}

// writeRunFiles writes the files of a run, down to the disk.
func writeRunFiles(root *os.Root, folder string, r *result.Result) error {
	dir, err := root.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = writeFile(dir, resultfile.ResultName, func(w io.Writer) error { return resultfile.WriteJSON(w, r) })
	if err != nil {
		return err
	}
	info, err := dir.Stat(resultfile.ResultName)
	if err != nil {
		return err
	}
	err = writeFile(dir, summaryName, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(summary{summarySchema, info.Size(), info.ModTime(), result.NewRunSummary(r)})
	})
	if err != nil {
		return err
	}
	// Others may read, whatever the umask says.
	return errors.Join(root.Chmod(folder, 0o755), syncDir(dir))
}

func writeFile(dir *os.Root, name string, write func(io.Writer) error) error {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync()); err != nil {
		return err
	}
	return f.Close()
}

// syncDir makes a new name last.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
