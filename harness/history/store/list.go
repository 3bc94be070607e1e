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

// maxSummary bounds the bytes of a summary; that of 32 arms has 10 KiB.
const maxSummary = 1 << 20

// ListRuns lists all runs that can be read, oldest first. The warnings name the runs
// that cannot be read, and the leftovers of programs that died. A store that does
// not exist has no runs.
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
	runs, duplicates := dropDuplicates(runs)
	for _, r := range duplicates {
		warnings = append(warnings, fmt.Sprintf("%s: the run %s is in another folder as well; left out", filepath.Join(s.dir, r.Folder), r.ID))
	}
	return runs, warnings, nil
}

// isGone reports whether a run was removed while the store was read.
func isGone(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// readRun reads the summary of the run in a folder. If it has none, or one of another
// result, the summary is made from the result.
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
		run.ID = name // a result that was written by hand
	}
	return run, nil
}

// trimPath removes the path from an error that is printed after the folder.
func trimPath(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("%s: %w", resultfile.ResultName, path.Err)
	}
	if _, rest, ok := strings.Cut(err.Error(), resultfile.ResultName+": "); ok {
		return fmt.Errorf("%s: %s", resultfile.ResultName, rest)
	}
	return err
}

// readSummary reads the summary in a folder. ok is false if it was not made from the
// result that is there.
func readSummary(root *os.Root, folder string, resultInfo fs.FileInfo) (run result.RunSummary, ok bool) {
	path := filepath.Join(folder, summaryName)
	// Without O_NONBLOCK, a pipe in its place would block.
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
	return sum.Run, sum.Schema == summarySchema && sum.Size == resultInfo.Size() && sum.Modified.Equal(resultInfo.ModTime())
}

// dropDuplicates separates the runs whose ID an earlier run has.
func dropDuplicates(runs []result.RunSummary) (unique, duplicates []result.RunSummary) {
	isKnown := map[string]bool{}
	for _, r := range runs {
		if isKnown[r.ID] {
			duplicates = append(duplicates, r)
			continue
		}
		isKnown[r.ID] = true
		unique = append(unique, r)
	}
	return unique, duplicates
}
