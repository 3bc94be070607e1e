package undo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/format"
)

// The steps of a journal are executed as they are written. So a journal is trusted
// only where no other user can have written it: its folder and its file belong to
// the effective user, and no other user can write to them. Both are opened without
// following a link, and checked after they are opened, so that nothing can replace
// them between the check and the use.

// trustedFolder is an open folder that was checked.
type trustedFolder struct {
	path string
	file *os.File
}

// UntrustedError reports a path that another user may have made or changed. Its
// contents were not used.
type UntrustedError struct {
	Path   string
	Fault  string // "belongs to user 1000, and snatlab runs as user 0"
	Remedy string // advice for the user
}

// Error returns the path, its fault and the remedy.
func (e *UntrustedError) Error() string { return fmt.Sprintf("%q %s (%s)", e.Path, e.Fault, e.Remedy) }

// CheckFolder returns an error unless only the effective user can have written to
// the folder at path. The error wraps fs.ErrNotExist if there is no such folder, and
// is an *[UntrustedError] if another user can write to it.
func CheckFolder(path string) error {
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// makeFolder opens the folder at path. It makes the folder if there is none.
func makeFolder(path string) (*trustedFolder, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := unix.Mkdir(path, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return openFolder(path)
}

func openFolder(path string) (*trustedFolder, error) {
	path = filepath.Clean(path)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil, describeNonFolder(path)
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := &trustedFolder{path, os.NewFile(uintptr(fd), path)}
	if err := f.checkAccess(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func describeNonFolder(path string) error {
	what := "is not a folder"
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		what = "is a symbolic link; journals must be in a folder"
	}
	return &UntrustedError{path, what, "check who made it, and remove it: ls -ld " + path}
}

func (f *trustedFolder) checkAccess() error {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.file.Fd()), &s); err != nil {
		return fmt.Errorf("look at %s: %w", f.path, err)
	}
	switch self := uint32(os.Geteuid()); {
	case s.Uid != self:
		return &UntrustedError{f.path, describeForeign(s.Uid, self),
			fmt.Sprintf("run snatlab as user %d, whose journals are there; or, if that user has no runs, remove it: rm -r %s", s.Uid, f.path)}
	case s.Mode&0o022 != 0:
		return &UntrustedError{f.path, describeWritable(s.Mode),
			"remove from it what you do not recognise, then: chmod 0700 " + f.path}
	}
	return nil
}

func describeForeign(owner, self uint32) string {
	return fmt.Sprintf("belongs to user %d, and snatlab runs as user %d", owner, self)
}

func describeWritable(mode uint32) string {
	return fmt.Sprintf("can be written to by other users (mode %04o)", mode&0o7777)
}

// Close closes the folder. Files that were opened in it stay open.
func (f *trustedFolder) Close() error { return f.file.Close() }

// listFiles returns the names of the files that end in suffix, sorted.
func (f *trustedFolder) listFiles(suffix string) ([]string, error) {
	all, err := f.file.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", f.path, err)
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !strings.HasSuffix(name, suffix) })
	slices.Sort(all)
	return all, nil
}

// fileNames matches the names of the files that snatlab makes.
var fileNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,191}$`)

// openTrusted opens a file of the folder. It does not block on a pipe.
func (f *trustedFolder) openTrusted(name string, flags int) (*os.File, error) {
	path := filepath.Join(f.path, name)
	if !fileNames.MatchString(name) {
		return nil, &UntrustedError{path, "has a name that snatlab never uses", adviseRemoval(path)}
	}
	return openTrustedFile(f.file, path, flags, uint32(os.Geteuid()))
}

// removeFile removes a file of the folder. A missing file is no error.
func (f *trustedFolder) removeFile(name string) error {
	err := unix.Unlinkat(int(f.file.Fd()), name, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "remove", Path: filepath.Join(f.path, name), Err: err}
	}
	return nil
}

// openTrustedFile opens the file at path, which is in dir, and checks it.
func openTrustedFile(dir *os.File, path string, flags int, owners ...uint32) (*os.File, error) {
	fd, err := openAt(dir, filepath.Base(path), flags)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &UntrustedError{path, "is a symbolic link", adviseRemoval(path)}
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EISDIR): // a socket, or a pipe without a reader
		return nil, &UntrustedError{path, "is not a regular file", adviseRemoval(path)}
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	if err := checkTrustedFile(file, owners...); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func openAt(dir *os.File, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// maxSize bounds a file. The longest run that a scenario can ask for, 1,000
// rounds of 32 arms with 64 addresses and 32 sysctls each, writes 830 MB; most
// write a few KiB. Journals are read line by line, so size costs no memory.
const maxSize = 1 << 30

// checkTrustedFile returns an error unless only the owners can have written to an
// open file.
func checkTrustedFile(file *os.File, owners ...uint32) error {
	var s unix.Stat_t
	path := file.Name()
	if err := unix.Fstat(int(file.Fd()), &s); err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	fault := ""
	switch {
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		fault = "is not a regular file"
	case !slices.Contains(owners, s.Uid):
		fault = describeForeign(s.Uid, uint32(os.Geteuid()))
	case s.Mode&0o022 != 0:
		fault = describeWritable(s.Mode)
	case s.Nlink > 1:
		fault = fmt.Sprintf("has %d names (hard links)", s.Nlink)
	case s.Size > maxSize:
		fault = fmt.Sprintf("is larger than %s MiB", format.Thousands(maxSize>>20))
	default:
		return nil
	}
	return &UntrustedError{path, fault, adviseRemoval(path)}
}

// adviseRemoval returns the advice about a file that snatlab cannot have left like
// that.
func adviseRemoval(path string) string {
	return fmt.Sprintf("snatlab leaves no file like that, so it is not used; check who made it, and remove it: rm %q", path)
}
