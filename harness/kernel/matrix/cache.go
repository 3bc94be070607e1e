package matrix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"snatlab/harness/result"
)

// Cache is a folder of finished rows, each in a file named by its digest: an
// interrupted matrix continues with the kernels that have no row. A nil Cache is empty.
type Cache struct{ Dir string }

// UserCache returns the cache of this user; nil for a user without a home.
func UserCache() *Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return &Cache{Dir: filepath.Join(dir, "snatlab", "matrix")}
}

const (
	// maxRowAge is how long a row is kept: a new build of this program, or another
	// kernel, cannot use it.
	maxRowAge = 30 * 24 * time.Hour

	// maxRowBytes is the most bytes of a row's file: a result.json and a little more.
	maxRowBytes = 65 << 20
)

func (c *Cache) rowPath(digest string) string { return filepath.Join(c.Dir, digest+".json") }

// findRow returns a stored row; nil if there is none, or if it cannot be read.
func (c *Cache) findRow(digest string) *result.Row {
	if c == nil {
		return nil
	}
	info, err := os.Stat(c.rowPath(digest))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxRowBytes || time.Since(info.ModTime()) > maxRowAge {
		return nil
	}
	text, err := os.ReadFile(c.rowPath(digest))
	row := new(result.Row)
	if err != nil || json.Unmarshal(text, row) != nil || row.Digest != digest || row.Status != result.RowOK || row.Result == nil {
		return nil
	}
	return row
}

// storeRow writes a row, completely or not at all, and removes old rows.
func (c *Cache) storeRow(row *result.Row) error {
	if c == nil {
		return nil
	}
	text, err := json.Marshal(row)
	if err == nil {
		err = os.MkdirAll(c.Dir, 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(c.rowPath(row.Digest), text, 0o644, renameio.WithTempDir(c.Dir)) // not in $TMPDIR
	}
	if err != nil {
		return fmt.Errorf("store the row in the cache (its kernel will be tested again next time): %w", err)
	}
	c.removeOldRows()
	return nil
}

// removeOldRows removes old rows. It ignores errors: the next call tries again.
func (c *Cache) removeOldRows() {
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > maxRowAge {
			_ = os.Remove(filepath.Join(c.Dir, e.Name()))
		}
	}
}
