// Package place opens files and folders whose paths other users of the machine may
// have prepared: a folder of the path belongs to them, or they can write to it.
package place

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// descriptors matches the paths of files that this process was started with, as in
// `snatlab report <(ssh node cat result.json)`. No other user opened them.
var descriptors = regexp.MustCompile(`^(/dev/stdin|/(dev|proc/self)/fd/[0-9]+)$`)

// OpenFile opens a regular file for reading. Any other file is refused at once: a pipe
// would keep the caller waiting, and a device may have no end. Only a file that the
// process was started with may be a pipe.
func OpenFile(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Type() == fs.ModeNamedPipe && descriptors.MatchString(path) {
		return os.Open(path)
	}
	if info, err := os.Stat(path); err == nil && checkRegular(info) != nil { // opening a device may have an effect
		return nil, fmt.Errorf("%s: %w", path, checkRegular(info))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil { // another file may have replaced it
		err = checkRegular(info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

func checkRegular(info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return errors.New(fileKind(info.Mode()) + ", not a regular file")
}

// fileKind names the kind of a file.
func fileKind(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeDir:
		return "a folder"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a pipe"
	case fs.ModeSocket:
		return "a socket"
	}
	return "a device"
}

// CheckReplaceable returns an error unless a name in a folder is free, or the name of
// a regular file. Any other file, for instance the link /dev/stdout, would be
// destroyed by the replacement.
func CheckReplaceable(folder *os.Root, name string) error {
	info, err := folder.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return checkRegular(info)
}

// OpenFolder opens the folder at path. A symbolic link on the way is followed only if
// it belongs to this user or to root: any other user could direct this one, who may be
// root, to a folder of their choice. The kernel's fs.protected_symlinks has the same
// purpose, but is off on some machines, and covers only folders like /tmp.
func OpenFolder(path string) (*os.Root, error) { return walkTo(path, false) }

// MakeFolder opens the folder at path as OpenFolder does, and makes the folders that
// are missing.
func MakeFolder(path string) (*os.Root, error) { return walkTo(path, true) }

// maxLinks bounds the links on the way, as the kernel does (MAXSYMLINKS).
const maxLinks = 40

// A walker follows a path to a folder, name by name.
type walker struct {
	path  string // the whole path, for errors
	at    int    // descriptor of the folder that was reached, O_PATH
	todo  []string
	links int
	make  bool
}

func walkTo(path string, make bool) (*os.Root, error) {
	w := &walker{path: path, at: -1, make: make}
	defer w.close()
	if err := w.enterFolder(unix.AT_FDCWD, startFolder(path)); err != nil {
		return nil, w.pathError(err)
	}
	w.todo = strings.Split(path, "/")
	for len(w.todo) > 0 {
		name := w.todo[0]
		w.todo = w.todo[1:]
		if name == "" || name == "." {
			continue
		}
		if err := w.enterName(name); err != nil {
			return nil, w.pathError(err)
		}
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", w.at))
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return nil, w.pathError(path.Err)
	}
	return root, err
}

func startFolder(path string) string {
	if strings.HasPrefix(path, "/") {
		return "/"
	}
	return "."
}

// enterName goes on to the folder or the link of a name.
func (w *walker) enterName(name string) error {
	var s unix.Stat_t
	fd, err := openPath(w.at, name, 0)
	if errors.Is(err, unix.ENOENT) && w.make {
		if err := unix.Mkdirat(w.at, name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
		fd, err = openPath(w.at, name, 0)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &s); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT == unix.S_IFLNK {
		return w.followLink(fd, name, s.Uid)
	}
	return w.enterFolder(w.at, name)
}

// enterFolder goes on to a folder. It follows no link.
func (w *walker) enterFolder(from int, name string) error {
	fd, err := openPath(from, name, unix.O_DIRECTORY)
	if err == nil {
		w.close()
		w.at = fd
	}
	return err
}

func openPath(from int, name string, flags int) (int, error) {
	return unix.Openat(from, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
}

// followLink replaces a link by its target, in the rest of the path.
func (w *walker) followLink(link int, name string, owner uint32) error {
	if !isTrusted(owner) {
		return fmt.Errorf("%q is a symbolic link of user %d, which is not followed (name the folder itself)", name, owner)
	}
	if w.links++; w.links > maxLinks {
		return unix.ELOOP
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", target)
	if err != nil {
		return err
	}
	w.todo = append(strings.Split(string(target[:n]), "/"), w.todo...)
	if target[0] == '/' {
		return w.enterFolder(unix.AT_FDCWD, "/")
	}
	return nil
}

func (w *walker) close() {
	if w.at >= 0 {
		unix.Close(w.at)
	}
}

func (w *walker) pathError(err error) error { return &fs.PathError{Op: "open", Path: w.path, Err: err} }

// overflowUser stands for every user without a number in this user namespace, which
// may include root.
const overflowUser = 65534

// isTrusted reports whether links of a user are followed.
func isTrusted(owner uint32) bool {
	return owner == 0 || owner == uint32(os.Geteuid()) || owner == overflowUser && !inInitialNamespace()
}

// inInitialNamespace reports whether this user namespace holds every user. In any
// other namespace this process has only the rights of its own user, even as root.
func inInitialNamespace() bool {
	text, _ := os.ReadFile("/proc/self/uid_map")
	return strings.Join(strings.Fields(string(text)), " ") == "0 0 4294967295"
}
