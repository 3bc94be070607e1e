package resultfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/result"
)

// A Folder receives the files of a run or of a matrix. It stays open, so that a user
// who may rename it cannot redirect a file to another folder.
type Folder struct {
	path string
	root *os.Root
	made bool // it was missing before
}

// PrepareFolder opens the folder at path, which it makes if there is none, and
// checks that the disk has room for a result. It is called before a run, as a
// result that cannot be written is lost.
func PrepareFolder(path string) (*Folder, error) {
	f := &Folder{path: path}
	_, missing := os.Stat(path)
	f.made = missing != nil
	root, err := place.MakeFolder(path)
	if err != nil {
		f.RemoveEmpty()
		return nil, err
	}
	f.root = root
	if err := checkRoom(root); err != nil {
		err = errors.Join(err, f.Close())
		f.RemoveEmpty()
		return nil, err
	}
	return f, nil
}

// Close closes the folder; its files stay.
func (f *Folder) Close() error { return f.root.Close() }

// RemoveEmpty removes the folder if [PrepareFolder] made it and nothing is in it. An
// error is not reported: an empty folder does no harm.
func (f *Folder) RemoveEmpty() {
	if f.made {
		_ = unix.Rmdir(f.path)
	}
}

const (
	// TrialPrefix begins the name of a file that is written to check for room, and
	// removed at once. A file of that name that is found was left by a crash.
	TrialPrefix = ".snatlab-"

	// trialSize is the size of most results with their reports, in bytes.
	trialSize = 128 << 10
)

// checkRoom reports a folder that cannot be written to, or a full disk.
func checkRoom(folder *os.Root) error {
	name := TrialPrefix + rand.Text()
	trial, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = trial.Write(make([]byte, trialSize))
	if err == nil {
		err = trial.Sync() // some file systems find room only then
	}
	return errors.Join(err, trial.Close(), folder.Remove(name))
}

// FindResult returns the name of a file of an earlier run in the folder at path;
// empty if there is none.
func FindResult(path string) string {
	for _, name := range runFiles {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return name
		}
	}
	return ""
}

// runFiles are the files of a run.
var runFiles = []string{ResultName, ReportName, PageName}

// Reports draw what is written beside result.json.
type Reports struct {
	Markdown func(io.Writer, *result.Result) error // report.md
	HTML     func(io.Writer, *result.Result) error // report.html
}

// WriteResult writes result.json, report.md and report.html, each whole or not at all.
// Without replace, a result that another run has written since the folder was opened is
// an error.
func (f *Folder) WriteResult(r *result.Result, draw Reports, replace bool) error {
	for _, name := range runFiles {
		if _, err := f.root.Lstat(name); err == nil && !replace {
			return fmt.Errorf("write %s: another run has written it meanwhile", filepath.Join(f.path, name))
		}
	}
	return errors.Join(
		f.Write(ResultName, func(w io.Writer) error { return WriteJSON(w, r) }),
		f.Write(ReportName, func(w io.Writer) error { return draw.Markdown(w, r) }),
		f.Write(PageName, func(w io.Writer) error { return draw.HTML(w, r) }))
}

// Write writes a file to the folder, whole or not at all. The file is begun in
// that folder, and in no other.
func (f *Folder) Write(name string, draw func(io.Writer) error) error {
	return writeIn(f.root, f.path, name, draw)
}

// WriteFile writes the file that the user named, whole or not at all. A regular
// file at path is replaced.
func WriteFile(path string, draw func(io.Writer) error) error {
	return writeNamed(path, draw)
}

// WritePublicFile is [WriteFile] for a file that other users read, whatever the
// umask is.
func WritePublicFile(path string, draw func(io.Writer) error) error {
	return writeNamed(path, draw, renameio.IgnoreUmask())
}

func writeNamed(path string, draw func(io.Writer) error, options ...renameio.Option) error {
	dir := filepath.Dir(path)
	root, err := place.OpenFolder(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer root.Close()
	return writeIn(root, dir, filepath.Base(path), draw, options...)
}

// writeIn writes a file to the folder that was opened at dir.
func writeIn(root *os.Root, dir, name string, draw func(io.Writer) error, options ...renameio.Option) error {
	path := filepath.Join(dir, name)
	if err := place.CheckReplaceable(root, name); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	file, err := renameio.NewPendingFile(name, append(options, renameio.WithPermissions(0o644), renameio.WithRoot(root))...)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer file.Cleanup()
	err = draw(file)
	if err == nil {
		err = file.CloseAtomicallyReplace()
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
