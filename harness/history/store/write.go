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

// The prefixes of names that are no runs.
const (
	hiddenPrefix = "."     // any name that is no run
	newPrefix    = ".new-" // a run that is being written
	oldPrefix    = ".old-" // a run that is being removed
)

const summaryName = "summary.json"

// summarySchema names the meaning of the fields of a summary.
const summarySchema = "snatlab.summary/v1"

// summary is the file next to a result.
type summary struct {
	Schema   string            `json:"schema"`
	Size     int64             `json:"size"`     // of the result that it was made of
	Modified time.Time         `json:"modified"` // when that was last changed
	Run      result.RunSummary `json:"run"`
}

// folderNameForm is the form of an ID that can name a folder.
var folderNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// LabelForm is the form of a label of a run. It begins with a letter, unlike the ID of a
// run and the release of a kernel.
var LabelForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,62}$`)

// Put stores a result, whole or not at all. A run that is already stored is an error
// that wraps fs.ErrExist. If the disk takes the result, but not the name of its
// folder, the error says that the run may be gone after a crash.
func (s *Store) Put(r *result.Result) error {
	if !folderNameForm.MatchString(r.ID) {
		return fmt.Errorf("store a result: its ID, %.100q, cannot be the name of a folder", r.ID)
	}
	if err := s.putRun(r); err != nil {
		return fmt.Errorf("store the result of %s in %s: %w%s", r.ID, s.dir, err, hintFor(err))
	}
	return nil
}

// hintFor returns what the user can do about an error of the file system.
func hintFor(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return " (free some space, for example with `snatlab history prune`, or name another folder with --store)"
	case errors.Is(err, unix.EROFS):
		return " (mount it read-write, or name another folder with --store)"
	case errors.Is(err, fs.ErrPermission):
		return " (run as the owner of the folder, or name another folder with --store)"
	}
	return ""
}

// putRun writes a run by means of os.Root. Another user who may write to the store's
// folder cannot lead root out of it by a symbolic link, or by another folder in its
// place.
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
	if err := writeVersion(root); err != nil {
		return err
	}
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

// publishFolder renames the folder of a run to its ID, and syncs the name.
func publishFolder(root *os.Root, temporary, id string, sync func(*os.Root) error) error {
	err := root.Rename(temporary, id)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("such a run is already stored: %w", fs.ErrExist)
	}
	if err != nil {
		return err
	}
	if err := sync(root); err != nil {
		return fmt.Errorf("it is stored, but may be lost if the machine crashes now: %w", err)
	}
	return nil
}

// writeRunFiles writes the files of a run, and syncs them.
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
	// Other users may read it, whatever the umask is.
	return errors.Join(root.Chmod(folder, 0o755), syncDir(dir))
}

// writeFile writes a new file that all users may read, and syncs it.
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

// syncDir syncs the names in a folder.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
