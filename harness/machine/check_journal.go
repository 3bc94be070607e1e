package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"snatlab/harness/undo"
)

// CheckJournal checks whether a journal can be written in dir, or dir be made.
func CheckJournal(dir string) Precondition {
	p := Precondition{Name: "journal", Found: "in " + dir}
	at := dir
	err := undo.CheckFolder(dir)
	if untrusted, ok := errors.AsType[*undo.UntrustedError](err); ok {
		p.State, p.Found, p.Remedy = Unmet, fmt.Sprintf("%q %s", untrusted.Path, untrusted.Fault), untrusted.Remedy
		return p
	}
	if errors.Is(err, fs.ErrNotExist) {
		at = filepath.Dir(dir)
	}
	if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
		p.State, p.Found = Unmet, fmt.Sprintf("write to %s: %v", at, err)
		p.Remedy = fmt.Sprintf("run as root, or have root make it: install -d -m 700 -o %d %s", os.Geteuid(), dir)
	}
	return p
}
