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
	// kept is how long a row stays: a new build of this program, or another
	// kernel, has no use for it.
	kept = 30 * 24 * time.Hour

	// rowMax bounds the file of a row: a result.json, and a bit.
	rowMax = 65 << 20
)

func (c *Cache) file(digest string) string { return filepath.Join(c.Dir, digest+".json") }

// get gives the row that was put; nil for none, or one that cannot be read.
func (c *Cache) get(digest string) *result.Row {
	if c == nil {
		return nil
	}
	info, err := os.Stat(c.file(digest))
	if err != nil || !info.Mode().IsRegular() || info.Size() > rowMax || time.Since(info.ModTime()) > kept {
		return nil
	}
	text, err := os.ReadFile(c.file(digest))
	row := new(result.Row)
	if err != nil || json.Unmarshal(text, row) != nil || row.Digest != digest || row.Status != result.RowOK || row.Result == nil {
		return nil
	}
	return row
}

// put keeps a row, whole or not at all, and drops those that are old.
func (c *Cache) put(row *result.Row) error {
	if c == nil {
		return nil
	}
	text, err := json.Marshal(row)
	if err == nil {
		err = os.MkdirAll(c.Dir, 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(c.file(row.Digest), text, 0o644, renameio.WithTempDir(c.Dir)) // not in $TMPDIR
	}
	if err != nil {
		return fmt.Errorf("keep the row, which will be done again the next time: %w", err)
	}
	c.sweep()
	return nil
}

// sweep may miss some: the next one finds them.
func (c *Cache) sweep() {
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > kept {
			_ = os.Remove(filepath.Join(c.Dir, e.Name()))
		}
	}
}
