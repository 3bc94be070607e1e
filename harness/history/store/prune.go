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

// KeepDays is for how long every run is kept, if nobody says otherwise.
const KeepDays = 90

// Policy says which runs are kept: all of the last Days days, and of those before
// them, for each key and kernel, the first and the last one and the first of each
// week. Runs next to a change of a verdict, of the run or of an arm, are kept on
// both sides of it: they are what one looks for.
type Policy struct{ Days int }

// Pruned is what was removed, or would be.
type Pruned struct {
	Runs      []result.RunSummary
	Leftovers []string // names of folders and files that a program that died had left
}

// Prune removes what the policy does not keep. A dry one removes nothing. With an
// error it gives what was removed before it.
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
		if err := removeRun(root, r.Folder); err != nil && !errors.Is(err, fs.ErrNotExist) { // else another one was faster
			return done, err
		}
		done.Runs = append(done.Runs, r)
	}
	return done, nil
}

// removeLeftovers removes leftovers while nobody else is at work.
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
		return nil, nil // somebody has come: another time
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

// removeRun hides a folder before it empties it: a run is there whole or not
// at all.
func removeRun(root *os.Root, name string) error {
	away := oldPrefix + name
	if err := root.Rename(name, away); err != nil {
		return err
	}
	return root.RemoveAll(away)
}

// selectThinned lists the runs to be removed, oldest first, as they are given.
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
		if r.Started.Before(limit) && !kept[r.ID] {
			thinned = append(thinned, r)
		}
	}
	return thinned
}

// keepWeekly keeps the first and the last of the runs, and the first of each week.
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

// verdictsDiffer reports whether a verdict of a run is another one than before.
func verdictsDiffer(before, after result.RunSummary) bool {
	return before.Verdict != after.Verdict || !slices.EqualFunc(before.Arms, after.Arms, func(a, b result.ArmSummary) bool {
		return a.Name == b.Name && a.Verdict == b.Verdict
	})
}
