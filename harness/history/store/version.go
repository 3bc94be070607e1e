package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/printable"
)

// versionName is the file that names the layout of a store. The first Put writes it. A
// folder without it has the layout of [storeSchema]: a store of a version that wrote no
// such file, or a folder of results.
const versionName = ".store.json"

// storeSchema names the layout of a store.
const storeSchema = "snatlab.store/v1"

// maxVersion bounds the bytes of that file that are read.
const maxVersion = 4096

// storeVersion is that file.
type storeVersion struct {
	Schema string `json:"schema"`
}

// checkVersion returns an error if the store in dir has another layout. A folder that
// cannot be opened is reported when its runs are read or written.
func checkVersion(dir string) error {
	root, err := place.OpenFolder(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	version, err := readVersion(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("store of results %s: read its %s: %w", dir, versionName, err)
	case version.Schema != storeSchema:
		return fmt.Errorf("store of results %s: it is of another version of snatlab (%.100s; this snatlab reads %s); nothing was written to it (use that version, or name another folder with --store)",
			dir, printable.Line(version.Schema), storeSchema)
	}
	return nil
}

func readVersion(root *os.Root) (v storeVersion, err error) {
	f, err := root.OpenFile(versionName, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return v, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxVersion))
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, err
}

// writeVersion names the layout of a store, if it is not named yet.
func writeVersion(root *os.Root) error {
	if _, err := root.Lstat(versionName); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := renameio.NewPendingFile(versionName, renameio.WithRoot(root), renameio.WithPermissions(0o644), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer file.Cleanup()
	if err := json.NewEncoder(file).Encode(storeVersion{storeSchema}); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}
