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

// Cache is a folder of finished rows, each in a file that its digest names: an
// interrupted matrix goes on where it was. A nil one holds nothing.
type Cache struct{ Dir string }

// UserCache is that of this user; nil for one without a home.
func UserCache() *Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return &Cache{Dir: filepath.Join(dir, "snatlab", "matrix")}
}

const (
	// maxRowAge is how long a row stays: a new build of this program, or another
	// kernel, has no use for it.
	maxRowAge = 30 * 24 * time.Hour

	// maxRowBytes bounds the file of a row: a result.json, and a bit.
	maxRowBytes = 65 << 20
)

func (c *Cache) rowPath(digest string) string { return filepath.Join(c.Dir, digest+".json") }

// findRow gives the row that was put; nil for none, or one that cannot be read.
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

// storeRow keeps a row, whole or not at all, and drops those that are old.
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
		return fmt.Errorf("keep the row, which will be done again the next time: %w", err)
	}
	c.removeOldRows()
	return nil
}

// removeOldRows may miss some: the next one finds them.
func (c *Cache) removeOldRows() {
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > maxRowAge {
			_ = os.Remove(filepath.Join(c.Dir, e.Name()))
		}
	}
}
