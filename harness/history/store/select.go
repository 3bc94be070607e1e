package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario/changes"
	"snatlab/harness/wording"
)

// Group is runs of one scenario, oldest first.
type Group struct {
	Name    string // as the user calls it
	Results []*result.Result
}

// Selector selects the runs of the two sides of a comparison.
type Selector struct {
	Dir      string       // of the store
	All      bool         // all runs that a name means, and not only the newest
	Scenario string       // the name of the scenario; empty: any
	Series   string       // the ID of the series, or of its key; empty: any
	Warn     func(string) // is called with a sentence about runs that are left out
}

// SelectionError reports a side that names no runs, or sides that have no runs that
// can be compared.
type SelectionError struct{ err error }

func (e SelectionError) Error() string { return e.err.Error() }
func (e SelectionError) Unwrap() error { return e.err }

func selectionErrorf(format string, args ...any) error {
	return SelectionError{fmt.Errorf(format, args...)}
}

// Select reads the runs of both sides that have the same key, or the same scenario if no
// key is on both sides. A side is the path of a result or of a folder of results, or a
// name of stored runs: see [Store.FindRun]. Of a whole release of a kernel all runs are
// read, those by hand only if there are no others; of another name the newest. Sides that
// have several keys in common are a [SelectionError] that lists them.
func (s Selector) Select(old, new string) (before, after *Group, err error) {
	a, err := s.findSide(old)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.findSide(new)
	if err != nil {
		return nil, nil, err
	}
	if err := s.narrowSides(a, b); err != nil {
		return nil, nil, err
	}
	s.keepNewest(a)
	s.keepNewest(b)
	if before, err = s.readGroup(a); err != nil {
		return nil, nil, err
	}
	after, err = s.readGroup(b)
	return before, after, err
}

// side is one side of a comparison.
type side struct {
	name   string
	store  *Store // nil for a single result
	runs   []result.RunSummary
	single *result.Result
	named  *named // nil for a path
}

// findSide lists the runs that an argument names.
func (s Selector) findSide(arg string) (*side, error) {
	switch _, err := os.Stat(arg); {
	case err == nil:
	case !isNoPath(err):
		return nil, err
	case strings.ContainsRune(arg, os.PathSeparator):
		return nil, SelectionError{err}
	default:
		return s.findStored(arg)
	}
	if stored, err := Open(s.Dir); err == nil {
		if text := stored.DescribeShadowed(arg); text != "" {
			s.Warn(text)
		}
	}
	if !isStore(arg) {
		return readSingle(arg)
	}
	store, err := Open(arg)
	if err != nil {
		return nil, err
	}
	runs, err := s.listRuns(store)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, selectionErrorf("%s: no result in it, nor in the folders in it", arg)
	}
	return &side{name: arg, store: store, runs: runs}, nil
}

// isNoPath reports whether err means that a path leads nowhere.
func isNoPath(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG)
}

// isStore reports whether path is a folder without a result of its own.
func isStore(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	_, err = os.Stat(filepath.Join(path, resultfile.ResultName))
	return errors.Is(err, fs.ErrNotExist)
}

// readSingle reads one result. A file that is no result is a [SelectionError]; an
// error of the system is not.
func readSingle(path string) (*side, error) {
	r, err := resultfile.ReadResult(path)
	switch {
	case errors.As(err, new(*fs.PathError)):
		return nil, err
	case err != nil:
		return nil, SelectionError{err}
	}
	return &side{name: path, runs: []result.RunSummary{result.NewRunSummary(r)}, single: r}, nil
}

// findStored lists the runs of the store that a name means.
func (s Selector) findStored(name string) (*side, error) {
	store, err := Open(s.Dir)
	if err != nil {
		return nil, err
	}
	runs, err := s.listRuns(store)
	if err != nil {
		return nil, err
	}
	found, ok := findNamed(runs, name)
	if !ok {
		return nil, errNoRun(store, runs, name)
	}
	if err := found.checkUnique(name); err != nil {
		return nil, err
	}
	return &side{name: name, store: store, runs: found.runs, named: &found}, nil
}

// listRuns lists the runs of a store, and warns of those that cannot be read.
func (s Selector) listRuns(store *Store) ([]result.RunSummary, error) {
	runs, warnings, err := store.ListRuns()
	for _, text := range warnings {
		s.Warn(text)
	}
	return runs, err
}

// listChoices returns the names that there are of a kind, in parentheses.
func listChoices(kind string, names map[string]bool) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + kind + ": " + listNames(names) + ")"
}

func listNames(names map[string]bool) string {
	var sorted []string
	for name := range names {
		sorted = append(sorted, printable.Line(name))
	}
	slices.Sort(sorted)
	return strings.Join(sorted, ", ")
}

// narrowSides keeps on both sides the runs of one series, or of one scenario if the
// sides have no series in common.
func (s Selector) narrowSides(a, b *side) error {
	for _, c := range []*side{a, b} {
		c.keepRuns(func(r result.RunSummary) bool {
			return (s.Scenario == "" || r.Key.Scenario == s.Scenario) && (s.Series == "" || r.SeriesID() == s.Series || r.Key.SeriesID() == s.Series)
		})
		c.dropByHand()
		if len(c.runs) == 0 {
			return selectionErrorf("%s: no run is left by --scenario and --series", c.name)
		}
	}
	for _, by := range []func(result.RunSummary) string{
		func(r result.RunSummary) string { return r.Key.SeriesID() },
		func(r result.RunSummary) string { return r.Key.Hash },
	} {
		common := findCommon(a, b, by)
		switch len(common) {
		case 0:
			continue
		case 1:
			for _, c := range []*side{a, b} {
				c.keepRuns(func(r result.RunSummary) bool { return by(r) == common[0] })
			}
			return nil
		}
		return errSeveral(a, common)
	}
	return selectionErrorf("%s and %s have no scenario in common: nothing can be compared (%s; %s). To compare arms, put them into one scenario%s", a.name, b.name, a.listScenarios(), b.listScenarios(), describeChanges(a, b))
}

// dropByHand leaves out the runs by hand on a kernel of which there are nights as well.
func (c *side) dropByHand() {
	if c.named == nil || c.named.newest || len(c.runs) == 1 {
		return
	}
	nights := map[result.Key]bool{}
	for _, r := range c.runs {
		nights[r.Key] = nights[r.Key] || !r.IsByHand()
	}
	c.keepRuns(func(r result.RunSummary) bool { return !r.IsByHand() || !nights[r.Key] })
}

// keepNewest leaves out all runs but the newest that did not end early, if the name means
// only that.
func (s Selector) keepNewest(c *side) {
	if c.named == nil || !c.named.newest || s.All || len(c.runs) == 1 {
		return
	}
	newest := c.runs[len(c.runs)-1]
	if complete := DropIncomplete(c.runs); len(complete) > 0 {
		newest = complete[len(complete)-1]
	}
	s.Warn(sayNewest(c.name, named{runs: c.runs, by: c.named.by}, newest) + " (--all compares all)")
	c.runs = []result.RunSummary{newest}
}

// keepRuns leaves out the runs that isKept does not report.
func (c *side) keepRuns(isKept func(result.RunSummary) bool) {
	c.runs = slices.DeleteFunc(c.runs, func(r result.RunSummary) bool { return !isKept(r) })
}

// findCommon lists the properties that runs of both sides have, in the order of the
// first side.
func findCommon(a, b *side, property func(result.RunSummary) string) (common []string) {
	for _, r := range a.runs {
		isSame := func(other result.RunSummary) bool { return property(other) == property(r) }
		if !slices.Contains(common, property(r)) && slices.ContainsFunc(b.runs, isSame) {
			common = append(common, property(r))
		}
	}
	return common
}

// errSeveral returns the error that lists the series to choose from. ids are those
// of series, or hashes of scenarios.
func errSeveral(a *side, ids []string) error {
	text := fmt.Sprintf("%s can be compared; choose one with --scenario or --series:", format.Plural(len(ids), "series", "series"))
	for _, id := range ids {
		i := slices.IndexFunc(a.runs, func(r result.RunSummary) bool { return r.Key.SeriesID() == id || r.Key.Hash == id })
		text += fmt.Sprintf("\n  %s  %s", id, printable.Line(wording.SeriesName(a.runs[i].Key)))
	}
	return SelectionError{errors.New(text)}
}

// listScenarios names the scenarios of a side with their hashes.
func (c *side) listScenarios() string {
	names := map[string]bool{}
	for _, r := range c.runs {
		names[r.Key.Scenario+" "+r.Key.Hash] = true
	}
	return c.name + " has " + listNames(names)
}

// describeChanges returns what differs between the scenarios of one name on both sides, as
// the end of an error; empty if there are none, or they cannot be read.
func describeChanges(a, b *side) string {
	for _, run := range slices.Backward(b.runs) {
		i := slices.IndexFunc(a.runs, func(r result.RunSummary) bool { return r.Key.Scenario == run.Key.Scenario })
		if i < 0 {
			continue
		}
		old, errOld := a.read(a.runs[i])
		new, errNew := b.read(run)
		if errOld != nil || errNew != nil {
			return ""
		}
		return fmt.Sprintf(". What differs between those of the name %s: %s", run.Key.Scenario, printable.Line(wording.ScenarioChanges(changes.List(old, new))))
	}
	return ""
}

// read reads the result of a run of the side.
func (c *side) read(run result.RunSummary) (*result.Result, error) {
	if c.store == nil {
		return c.single, nil
	}
	return c.store.Read(run)
}

// mostRuns bounds the results of a side that are in memory.
const mostRuns = 200

// readGroup reads the results of a side.
func (s Selector) readGroup(c *side) (*Group, error) {
	g := &Group{Name: c.name}
	if c.store == nil {
		g.Results = []*result.Result{c.single}
		return g, nil
	}
	if n := len(c.runs); n > mostRuns {
		s.Warn(fmt.Sprintf("%s: the last %d of %s are compared", c.name, mostRuns, format.Plural(n, "run", "runs")))
		c.runs = c.runs[n-mostRuns:]
	}
	for _, run := range c.runs {
		r, err := c.read(run)
		if err != nil {
			return nil, err
		}
		g.Results = append(g.Results, r)
	}
	return g, nil
}
