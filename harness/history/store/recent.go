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
// folders, which begin with the time. It reads at most that many folders, and stops
// when ctx ends. Runs that cannot be read are left out without a warning: ListRecent
// offers names to choose from. For everything else there is [Store.ListRuns].
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
