package store

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"snatlab/harness/place"
	"snatlab/harness/result"
)

// ListRecent returns runs that can be read, the latest first, by the names of their
// folders, which begin with the time. It looks at no more folders than most, and
// stops when ctx ends. What cannot be read is left out without a word: Recent is
// for offering names to choose from, and [Store.Runs] for everything else.
func (s *Store) ListRecent(ctx context.Context, most int) (runs []result.RunSummary) {
	root, err := place.OpenFolder(s.dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil
	}
	for _, entry := range slices.Backward(entries) {
		if most == 0 || ctx.Err() != nil {
			break
		}
		if strings.HasPrefix(entry.Name(), hiddenPrefix) || !entry.IsDir() {
			continue
		}
		most--
		if run, err := s.readRun(root, entry); err == nil {
			runs = append(runs, run)
		}
	}
	return runs
}
