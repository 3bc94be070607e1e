package store

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/printable"
	"snatlab/harness/result"
)

// The names of stored runs. A run is named by its ID or a beginning of it, by its label,
// and by the kernel that it was made on.

// named is the runs that a name means, oldest first.
type named struct {
	runs   []result.RunSummary
	by     string // what the name is of them: an ID, the beginning of an ID, this label, such a kernel
	newest bool   // only the newest is meant
}

const byPrefix = "an ID that begins so"

// findNamed finds the runs that a name means. If it could mean several things, it is the
// first of: an ID, a label, the release of a kernel, the beginning of a release, the
// beginning of an ID. A release, also without what follows its version
// (6.12.107 of 6.12.107-cloud-amd64), means all runs on it; the beginning of a version
// (6.12) means the newest run on such a kernel, as a label does.
func findNamed(runs []result.RunSummary, name string) (found named, ok bool) {
	for _, n := range []struct {
		by     string
		newest bool
		isIt   func(result.RunSummary) bool
	}{
		{"this ID", false, func(r result.RunSummary) bool { return r.ID == name || r.Folder == name }},
		{"this label", true, func(r result.RunSummary) bool { return r.Label == name && name != "" }},
		{"such a kernel", false, func(r result.RunSummary) bool { return r.Kernel == name }},
		{"such a kernel", false, func(r result.RunSummary) bool { return continues(r.Kernel, name, "-+_") }},
		{"such a kernel", true, func(r result.RunSummary) bool { return continues(r.Kernel, name, ".") }},
		{byPrefix, false, func(r result.RunSummary) bool { return name != "" && strings.HasPrefix(r.ID, name) }},
	} {
		for _, r := range runs {
			if n.isIt(r) {
				found.runs = append(found.runs, r)
			}
		}
		if len(found.runs) > 0 {
			found.by, found.newest = n.by, n.newest
			return found, true
		}
	}
	return found, false
}

// continues reports whether a release begins with the given text, and goes on with one of
// some characters: 6.1 is no beginning of 6.12.
func continues(release, beginning, with string) bool {
	rest, ok := strings.CutPrefix(release, beginning)
	return ok && beginning != "" && rest != "" && strings.ContainsRune(with, rune(rest[0]))
}

// checkUnique returns an error if the name is the beginning of several IDs.
func (n named) checkUnique(name string) error {
	if n.by != byPrefix || len(n.runs) == 1 {
		return nil
	}
	return selectionErrorf("%s: %s begin with it; name one:%s", name, format.Plural(len(n.runs), "ID", "IDs"), listCandidates(n.runs))
}

// mostCandidates bounds the runs that an error lists.
const mostCandidates = 10

// listCandidates returns a line for each run to choose from, the last ones of many.
func listCandidates(runs []result.RunSummary) (lines string) {
	if more := len(runs) - mostCandidates; more > 0 {
		lines, runs = fmt.Sprintf("\n  (%d earlier)", more), runs[more:]
	}
	for _, r := range runs {
		lines += "\n  " + printable.Line(describeRun(r))
	}
	return lines
}

// describeRun returns the ID of a run and what it is known by.
func describeRun(r result.RunSummary) string {
	text := fmt.Sprintf("%s  %s on %s", r.ID, r.Key.Scenario, r.Kernel)
	if r.Label != "" {
		text += ", " + r.Label
	}
	return text
}

// errNoRun returns the error about a name that is no run.
func errNoRun(s *Store, runs []result.RunSummary, name string) error {
	kernels, labels := map[string]bool{}, map[string]bool{}
	hint := ""
	for _, r := range runs {
		kernels[r.Kernel] = true
		if r.Label != "" {
			labels[r.Label] = true
		}
		if r.Key.Scenario == name {
			hint = fmt.Sprintf(" (it is a scenario: `snatlab history runs %s` lists its runs)", printable.Line(name))
		}
	}
	return selectionErrorf("%s: no such file or folder, and no run in the store %s has this ID, label or kernel%s%s%s",
		name, s.dir, listChoices("kernels", kernels), listChoices("labels", labels), hint)
}

// FindRun finds the run that a name means. Where it is the newest of several, or a run that
// cannot be read is left out, warn is called with a sentence about it. A name that means
// none, or runs of several scenarios, is a [SelectionError].
func (s *Store) FindRun(name string, warn func(string)) (result.RunSummary, error) {
	runs, warnings, err := s.ListRuns()
	if err != nil {
		return result.RunSummary{}, err
	}
	for _, text := range warnings {
		warn(text)
	}
	found, ok := findNamed(runs, name)
	if !ok {
		return result.RunSummary{}, errNoRun(s, runs, name)
	}
	if err := found.checkUnique(name); err != nil {
		return result.RunSummary{}, err
	}
	if last := newestByScenario(found.runs); len(last) > 1 {
		return result.RunSummary{}, selectionErrorf("%s: runs of %d scenarios have %s; name one by its ID:%s", name, len(last), found.by, listCandidates(last))
	}
	newest := found.runs[len(found.runs)-1]
	if len(found.runs) > 1 {
		warn(sayNewest(name, found, newest))
	}
	return newest, nil
}

// sayNewest returns the sentence about the newest of several runs.
func sayNewest(name string, found named, newest result.RunSummary) string {
	return fmt.Sprintf("%s: %s have %s; the newest is %s", name, format.Plural(len(found.runs), "run", "runs"), found.by, describeRun(newest))
}

// newestByScenario returns the newest run of each scenario, oldest first.
func newestByScenario(runs []result.RunSummary) (newest []result.RunSummary) {
	for _, group := range groupBy(runs, func(r result.RunSummary) string { return r.Key.Scenario }) {
		newest = append(newest, group[len(group)-1])
	}
	slices.SortStableFunc(newest, func(a, b result.RunSummary) int { return a.Started.Compare(b.Started) })
	return newest
}

// DescribeShadowed returns a sentence about the stored run that a name would mean if there
// were no file of that name; empty if there is none.
func (s *Store) DescribeShadowed(name string) string {
	if strings.ContainsRune(name, os.PathSeparator) {
		return ""
	}
	runs, _, err := s.ListRuns()
	if err != nil {
		return ""
	}
	found, ok := findNamed(runs, name)
	if !ok || slices.ContainsFunc(found.runs, func(r result.RunSummary) bool { return isSameFile(name, s.pathOf(r)) }) {
		return ""
	}
	return fmt.Sprintf("%s is a file in this folder, and it is used. In the store, %s %s as well; name it by its ID: %s",
		name, format.Plural(len(found.runs), "run has", "runs have"), found.by, describeRun(found.runs[len(found.runs)-1]))
}

// isSameFile reports whether two paths lead to one file.
func isSameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
