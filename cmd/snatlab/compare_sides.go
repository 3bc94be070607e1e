package main

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
	"snatlab/harness/history/regression"
	"snatlab/harness/history/store"
	"snatlab/harness/printable"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/wording"
)

// choice is the runs of a side, before it is chosen among them.
type choice struct {
	name  string
	store *store.Store
	runs  []result.RunSummary
	whole []*result.Result // of a single result
}

// wrongSide is the error of a side that was chosen wrongly: it is not there, or
// cannot be compared.
type wrongSide struct{ error }

func (w wrongSide) Unwrap() error { return w.error }

// wrong says what was chosen wrongly.
func wrong(format string, args ...any) error { return wrongSide{fmt.Errorf(format, args...)} }

// sides reads the runs that are to be compared.
func (f compareFlags) sides(old, new string) (before, after *regression.Group, err error) {
	a, err := f.choose(old)
	if err != nil {
		return nil, nil, err
	}
	b, err := f.choose(new)
	if err != nil {
		return nil, nil, err
	}
	if err := f.narrow(a, b); err != nil {
		return nil, nil, err
	}
	if before, err = a.read(); err != nil {
		return nil, nil, err
	}
	after, err = b.read()
	return before, after, err
}

// choose lists the runs that an argument may mean.
func (f compareFlags) choose(arg string) (*choice, error) {
	switch _, err := os.Stat(arg); {
	case err == nil:
	case !isNoPath(err):
		return nil, err
	case strings.ContainsRune(arg, os.PathSeparator):
		return nil, wrongSide{err}
	default:
		return f.ofKernel(arg)
	}
	if !isFolder(arg) {
		return single(arg)
	}
	s, err := store.Open(arg)
	if err != nil {
		return nil, err
	}
	runs, err := readable(s)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, wrong("%s: no result in it, nor in the folders in it", arg)
	}
	return &choice{name: arg, store: s, runs: runs}, nil
}

// isNoPath tells the error of a path that leads nowhere.
func isNoPath(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG)
}

// single reads one result. What is no result was chosen wrongly; what the system
// says is another matter.
func single(path string) (*choice, error) {
	r, err := resultfile.Read(path)
	switch {
	case errors.As(err, new(*fs.PathError)):
		return nil, err
	case err != nil:
		return nil, wrongSide{err}
	}
	return &choice{name: path, runs: []result.RunSummary{result.NewRunSummary(r)}, whole: []*result.Result{r}}, nil
}

// ofKernel lists the runs on a kernel. A release means itself, if there is such a
// one, or else all that begin with it.
func (f compareFlags) ofKernel(release string) (*choice, error) {
	s, err := openStore(f.store)
	if err != nil {
		return nil, err
	}
	runs, err := readable(s)
	if err != nil {
		return nil, err
	}
	var exact, longer []result.RunSummary
	kernels := map[string]bool{}
	for _, r := range runs {
		kernels[r.Kernel] = true
		if r.Kernel == release {
			exact = append(exact, r)
		} else if rest, ok := strings.CutPrefix(r.Kernel, release); ok && strings.ContainsAny(rest[:1], "-+_") {
			longer = append(longer, r)
		}
	}
	switch {
	case len(exact) > 0:
		longer = exact
	case len(longer) == 0:
		return nil, wrong("%s: no such file or folder, and the store %s has no run on such a kernel%s", release, s.Dir(), among(kernels))
	}
	return &choice{name: release, store: s, runs: longer}, nil
}

// readable lists the runs of a store, and names those that cannot be read.
func readable(s *store.Store) ([]result.RunSummary, error) {
	runs, warnings, err := s.Runs()
	for _, text := range warnings {
		fmt.Fprintf(os.Stderr, "snatlab: %s\n", printable.Line(text))
	}
	return runs, err
}

// among lists what there is to choose from.
func among(names map[string]bool) string {
	if len(names) == 0 {
		return ""
	}
	var sorted []string
	for name := range names {
		sorted = append(sorted, printable.Line(name))
	}
	slices.Sort(sorted)
	return " (there are: " + strings.Join(sorted, ", ") + ")"
}

// narrow leaves on both sides the runs of one series, or of one scenario where
// the sides have no series in common.
func (f compareFlags) narrow(a, b *choice) error {
	for _, c := range []*choice{a, b} {
		c.keep(func(r result.RunSummary) bool {
			return (f.scenario == "" || r.Key.Scenario == f.scenario) && (f.series == "" || r.Key.SeriesID() == f.series)
		})
		if len(c.runs) == 0 {
			return wrong("%s: no run is left by --scenario and --series", c.name)
		}
	}
	for _, by := range []func(result.RunSummary) string{
		func(r result.RunSummary) string { return r.Key.SeriesID() },
		func(r result.RunSummary) string { return r.Key.Hash },
	} {
		shared := sharedBy(a, b, by)
		switch len(shared) {
		case 0:
			continue
		case 1:
			for _, c := range []*choice{a, b} {
				c.keep(func(r result.RunSummary) bool { return by(r) == shared[0] })
			}
			return nil
		}
		return wrongSide{errors.New(choices(a, shared))}
	}
	return wrong("%s and %s have no scenario in common: nothing can be compared (%s; %s)", a.name, b.name, a.scenarios(), b.scenarios())
}

func (c *choice) keep(which func(result.RunSummary) bool) {
	c.runs = slices.DeleteFunc(c.runs, func(r result.RunSummary) bool { return !which(r) })
}

// sharedBy lists what the runs of both sides have in common, in the order of the
// first.
func sharedBy(a, b *choice, by func(result.RunSummary) string) (shared []string) {
	for _, r := range a.runs {
		same := func(other result.RunSummary) bool { return by(other) == by(r) }
		if !slices.Contains(shared, by(r)) && slices.ContainsFunc(b.runs, same) {
			shared = append(shared, by(r))
		}
	}
	return shared
}

// choices is what to choose with --series.
func choices(a *choice, shared []string) string {
	text := fmt.Sprintf("%s can be compared; choose one with --scenario or --series:", format.Plural(len(shared), "series", "series"))
	for _, id := range shared {
		i := slices.IndexFunc(a.runs, func(r result.RunSummary) bool { return r.Key.SeriesID() == id || r.Key.Hash == id })
		text += fmt.Sprintf("\n  %s  %s", id, printable.Line(wording.Series(a.runs[i].Key)))
	}
	return text
}

// scenarios names those of a side with their hashes.
func (c *choice) scenarios() string {
	names := map[string]bool{}
	for _, r := range c.runs {
		names[r.Key.Scenario+" "+r.Key.Hash] = true
	}
	return c.name + " has" + strings.Trim(strings.TrimPrefix(among(names), " (there are:"), ")")
}

// mostRuns bounds the results that are held in memory.
const mostRuns = 200

// read reads the results as a whole.
func (c *choice) read() (*regression.Group, error) {
	g := &regression.Group{Name: c.name, Results: c.whole}
	if c.store == nil {
		return g, nil
	}
	if n := len(c.runs); n > mostRuns {
		fmt.Fprintf(os.Stderr, "snatlab: %s: the last %d of %s are compared\n", c.name, mostRuns, format.Plural(n, "run", "runs"))
		c.runs = c.runs[n-mostRuns:]
	}
	for _, run := range c.runs {
		r, err := c.store.Read(run)
		if err != nil {
			return nil, err
		}
		g.Results = append(g.Results, r)
	}
	return g, nil
}

// isFolder reports whether a path is that of a folder without a result in it.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	_, err = os.Stat(filepath.Join(path, resultfile.ResultName))
	return errors.Is(err, fs.ErrNotExist)
}
