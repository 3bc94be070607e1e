package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/result"
)

// KeepDays is the default of [Policy].Days.
const KeepDays = 90

// Policy chooses the runs that are kept: every run of the last Days days, and of the
// runs before them, for each key and kernel, the first, the last and the first of
// each week. The runs on both sides of a change of a verdict, of the run or of an
// arm, are kept as well: users look for them. A run with a label is always kept.
type Policy struct{ Days int }

// Pruned lists what was removed, or would be.
type Pruned struct {
	Runs      []result.RunSummary
	Leftovers []string // names of folders and files that programs that died have left
}

// Prune removes the runs that the policy does not keep, and the leftovers of programs
// that died. With dry, it removes nothing. With an error, it returns what was removed
// before.
func (s *Store) Prune(p Policy, now time.Time, dry bool) (done Pruned, err error) {
	runs, _, err := s.ListRuns()
	if err != nil || !s.Exists() {
		return done, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("prune the store of results %s: %w%s", s.dir, err, hintFor(err))
		}
	}()
	root, err := place.OpenFolder(s.dir)
	if err != nil {
		return done, err
	}
	defer root.Close()
	if done.Leftovers, err = removeLeftovers(root, dry); err != nil {
		return done, err
	}
	thinned := p.selectThinned(runs, now)
	if dry || len(thinned) == 0 {
		done.Runs = thinned
		return done, nil
	}
	held, err := holdLock(root, unix.F_RDLCK)
	if err != nil {
		return done, err
	}
	defer held.Close()
	for _, r := range thinned {
		if err := removeRun(root, r.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // else another program has removed it
			return done, err
		}
		done.Runs = append(done.Runs, r)
	}
	return done, nil
}

// removeLeftovers removes leftovers, unless another program has a lock.
func removeLeftovers(root *os.Root, dry bool) (names []string, err error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	names = findLeftovers(root, entries)
	if dry || len(names) == 0 {
		return names, nil
	}
	held, err := holdLock(root, unix.F_WRLCK)
	if errors.Is(err, unix.EAGAIN) {
		return nil, nil // a program has come: they are removed another time
	}
	if err != nil {
		return nil, err
	}
	defer held.Close()
	for i, name := range names {
		if err := root.RemoveAll(name); err != nil {
			return names[:i], err
		}
	}
	return names, nil
}

// removeRun renames the folder of a run before it removes its files: a run is there
// whole or not at all.
func removeRun(root *os.Root, name string) error {
	away := oldPrefix + name
	if err := root.Rename(name, away); err != nil {
		return err
	}
	return root.RemoveAll(away)
}

// selectThinned returns the runs that are to be removed. Runs are sorted, oldest
// first.
func (p Policy) selectThinned(runs []result.RunSummary, now time.Time) (thinned []result.RunSummary) {
	kept := map[string]bool{}
	for _, s := range groupBySeries(runs) {
		for i, r := range s {
			if i > 0 && verdictsDiffer(s[i-1], r) {
				kept[s[i-1].ID], kept[r.ID] = true, true
			}
		}
		for _, k := range groupByKernel(s) {
			keepWeekly(k, kept)
		}
	}
	limit := now.AddDate(0, 0, -p.Days)
	for _, r := range runs {
		if r.Started.Before(limit) && r.Label == "" && !kept[r.ID] {
			thinned = append(thinned, r)
		}
	}
	return thinned
}

// keepWeekly marks the first and the last of the runs as kept, and the first of each
// week.
func keepWeekly(runs []result.RunSummary, kept map[string]bool) {
	last := [2]int{}
	for _, r := range runs {
		year, week := r.Started.UTC().ISOWeek()
		if this := [2]int{year, week}; this != last {
			kept[r.ID], last = true, this
		}
	}
	kept[runs[len(runs)-1].ID] = true
}

// verdictsDiffer reports whether a verdict of a run, or of an arm, has changed.
func verdictsDiffer(before, after result.RunSummary) bool {
	return before.Verdict != after.Verdict || !slices.EqualFunc(before.Arms, after.Arms, func(a, b result.ArmSummary) bool {
		return a.Name == b.Name && a.Verdict == b.Verdict
	})
}
