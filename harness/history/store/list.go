package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// maxSummary bounds a summary; one of 32 arms takes 10 KiB.
const maxSummary = 1 << 20

// ListRuns lists all runs that can be read, oldest first. Warnings say what could
// not be read, and what a run that died has left. A store that is not there has
// no runs.
func (s *Store) ListRuns() (runs []result.RunSummary, warnings []string, err error) {
	root, err := place.OpenFolder(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the store of results: %w%s", err, hintFor(err))
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, nil, fmt.Errorf("read the store of results: %w", err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), hiddenPrefix) || entry.Type().IsRegular() {
			continue
		}
		run, err := s.readRun(root, entry)
		switch {
		case err == nil:
			runs = append(runs, run)
		case !isGone(root, entry.Name()):
			warnings = append(warnings, fmt.Sprintf("%s: %v; left out", filepath.Join(s.dir, entry.Name()), err))
		}
	}
	for _, name := range findLeftovers(root, entries) {
		warnings = append(warnings, fmt.Sprintf("%s: left by a program that died (snatlab history prune removes it)", filepath.Join(s.dir, name)))
	}
	slices.SortStableFunc(runs, func(a, b result.RunSummary) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.ID, b.ID))
	})
	runs, twice := dropDuplicates(runs)
	for _, r := range twice {
		warnings = append(warnings, fmt.Sprintf("%s: has the run %s, which another folder has as well; left out", filepath.Join(s.dir, r.Folder), r.ID))
	}
	return runs, warnings, nil
}

// isGone tells a run that was removed while the store was read.
func isGone(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// readRun is the one in a folder: by its summary, or else by its result.
func (s *Store) readRun(root *os.Root, entry fs.DirEntry) (result.RunSummary, error) {
	name := entry.Name()
	if !entry.IsDir() {
		return result.RunSummary{}, errors.New("neither a folder nor a file")
	}
	info, err := root.Lstat(filepath.Join(name, resultfile.ResultName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return result.RunSummary{}, fmt.Errorf("no %s in it", resultfile.ResultName)
	case err != nil:
		return result.RunSummary{}, err
	case !info.Mode().IsRegular():
		return result.RunSummary{}, fmt.Errorf("its %s is no regular file", resultfile.ResultName)
	}
	run, ok := readSummary(root, name, info)
	if !ok {
		r, err := resultfile.ReadResult(filepath.Join(s.dir, name))
		if err != nil {
			return result.RunSummary{}, trimPath(err)
		}
		run = result.NewRunSummary(r)
	}
	run.Folder = name
	if run.ID == "" {
		run.ID = name // a result that somebody wrote by hand
	}
	return run, nil
}

// trimPath takes the path out of an error that is told with its folder.
func trimPath(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("%s: %w", resultfile.ResultName, path.Err)
	}
	if _, rest, ok := strings.Cut(err.Error(), resultfile.ResultName+": "); ok {
		return fmt.Errorf("%s: %s", resultfile.ResultName, rest)
	}
	return err
}

// readSummary gives what a summary says, if it is one of the result that is
// there.
func readSummary(root *os.Root, folder string, of fs.FileInfo) (result.RunSummary, bool) {
	path := filepath.Join(folder, summaryName)
	// A pipe would keep us waiting.
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return result.RunSummary{}, false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSummary+1))
	var sum summary
	if err != nil || len(text) > maxSummary || json.Unmarshal(text, &sum) != nil {
		return result.RunSummary{}, false
	}
	return sum.Run, sum.Schema == summarySchema && sum.Size == of.Size() && sum.Modified.Equal(of.ModTime())
}

// dropDuplicates leaves out runs whose ID was there before.
func dropDuplicates(runs []result.RunSummary) (once, twice []result.RunSummary) {
	there := map[string]bool{}
	for _, r := range runs {
		if there[r.ID] {
			twice = append(twice, r)
			continue
		}
		there[r.ID] = true
		once = append(once, r)
	}
	return once, twice
}
