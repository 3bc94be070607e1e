// Package history keeps the results of runs in a folder, and says what they show
// over time: [Store.Tell] for people who ask, [Judge] for a run that is to be set
// against the ones before it, [Set] for two groups of runs.
//
// It reads and writes result.json through package report, which is how everybody
// does, and takes its statistics from package verdict. Reports of what it finds
// are drawn by package report from the types of package result, so that neither
// imports the other in a circle.
//
// # The store
//
// A store is a folder with a sub-folder for each run, named by the run's ID:
//
//	20261122-214500-3f9c2a/result.json   the result, as `snatlab run` writes it
//	20261122-214500-3f9c2a/summary.json  what it takes to list the run
//
// A run is written to a folder with a hidden name, synced, and given its name at
// the end: it is there whole or not at all, and is never changed. So any number of
// programs may write and read at a time, and none has to run in between. What a
// program that died left behind stays hidden; `snatlab history prune` removes it.
//
// summary.json can be derived from result.json, and is kept all the same: ten
// thousand results are a gigabyte of JSON. It names the size and the time of
// change of the result that it was made of. Where it is missing, or is of another
// result, the result itself is read: folders that were copied by hand, and
// results/ of `snatlab run`, are stores as well.
//
// A run that cannot be read is told in a warning, and the others are read.
//
// # Keys
//
// Figures are set against each other where runs have a [result.Key] in common:
// the scenario, by name and hash, architecture, CPUs, driver, privilege, the
// program that wrote the masquerade rule and its version, the Docker engine, the
// firewall, the hypervisor, and what ran the guest of a matrix. With another one
// of these, other figures are to be expected: a run in a user namespace shares no
// table with others, and a guest under emulation is ten times slower than its host. The kernel is left out, as
// that is what one wants to know about. The model of the CPU is left out as well:
// hosted runners change it from night to night.
//
// # What a regression is
//
// Every kind of regression is a question with the answer bad or good for each
// run: is the arm less than mitigated? Of N runs under the key, those of tonight
// included, M are bad, and the last K without exception. Were the runs all alike,
// each order of them were as likely as any other, and the last K all bad in
//
//	p = C(M, K) / C(N, K)
//
// of all orders. That is an exact permutation test; the unit is the run, and it asks
// for no distribution. There is a regression where p < [result.Alpha], 0.01, and
// at least two attempts were made tonight of which every one is bad.
//
// Attempts guard against what differs within a night, and against nothing else:
// they count as runs like any others, and the runs of a night are more alike than
// those of different nights. A disturbance that lasts the night is an alarm.
//
// Bad runs that lead up to tonight without a good one in between count with
// tonight's: so a regression stays one in the nights after the first, until it is
// mended or written down as known. One good attempt ends that: from then on all
// bad runs before it are what this machine does now and then, and later nights are
// measured by them. What is bad most of the time, but not always, is so reported
// at first, and less and less.
//
// What is bad:
//
//   - [result.VerdictFell]: the arm is less than mitigated
//   - [result.FailuresRose]: an arm that was mitigated in most earlier runs has at
//     least [result.Floor] failures, and more than twice the lower quartile of
//     the rates of all N runs. Tonight's are among them, as p is exact only where
//     what is bad does not depend on the order of the runs. Mitigated arms have 0,
//     1 or 2 failures in 48,000 requests, since two random draws can meet: the
//     quartile is next to nothing, and the floor decides. A rise that lasts is
//     seen for as long as a quarter of the runs that are kept are without it.
//   - [result.NewCause]: at least Floor requests of an arm failed for this cause.
//     The race is not asked for, which the two above are about, nor is what other
//     traffic may have done.
//   - [result.ExpectationBroken]: the expectation does not hold.
//
// With n good runs before, k attempts reach p = 1 / C(n+k, k): two attempts take
// 13 earlier runs, three take 7. A verdict or an expectation that was good in
// every earlier run needs no small p: it takes one such run. Of the other kinds a
// shorter history can only give doubts; see [Judgement].
//
// By design at most 1 night in 100 raises an alarm by chance: for each arm and
// kind, and for causes for each arm and cause. That bound is for arms that are at
// the edge of bad in many runs. One that is bad in 1 run of 20 by chance takes two
// or three such runs in a row: 1 night in 500 or fewer. One that never is raises
// none. Verdicts and expectations without a small p stand outside of that bound:
// chance can make two attempts bad before any run was, in one streak under a key.
//
// [Policy] thins runs out that are older than some days, and keeps those next to a
// change of a verdict: among old runs the bad ones are more than they were. So
// thinning makes p larger, and errs towards silence.
//
// A [result.Shift] is a change of the baseline's own rate by a fifth or more: of
// the last runs, at most 7, since the last change of kernel, against the 20 before
// them, by ranks, two-sided, p < Alpha. It moves with timing, and is no regression.
package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// The types that are told of the store's runs; see package result.
type (
	Run = result.RunSummary
	Arm = result.ArmSummary
	Key = result.Key
)

// Store is a folder of runs.
type Store struct{ dir string }

// Open gives the store in dir, which need not exist: the first Put makes it.
// Something else than a folder in its place is an error.
func Open(dir string) (*Store, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("store of results: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("store of results: %s is not a folder (--store names another one)", path)
	}
	return &Store{path}, nil
}

// DefaultDir is where the store is, if nobody says otherwise: in /var/lib for
// root, else where XDG's base directory specification has the state of programs.
func DefaultDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/snatlab"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the specification wants it
		home, _ := os.UserHomeDir()
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "snatlab")
}

// Dir is the folder of the store.
func (s *Store) Dir() string { return s.dir }

// Exists reports whether the folder is there.
func (s *Store) Exists() bool {
	_, err := os.Stat(s.dir)
	return err == nil
}

// Read gives the whole result of a run.
func (s *Store) Read(r Run) (*result.Result, error) {
	return resultfile.Read(filepath.Join(s.dir, r.Folder))
}

// Size is what the store takes.
func (s *Store) Size() (result.StoreState, error) {
	state := result.StoreState{Path: s.dir}
	// The store may be a link to its folder, which WalkDir would not follow.
	err := filepath.WalkDir(s.dir+"/.", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, or not made yet
		}
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Name() == resultfile.ResultName && !strings.HasPrefix(filepath.Base(filepath.Dir(path)), hidden) {
			state.Runs++
		}
		if info, err := entry.Info(); err == nil {
			state.Bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		return state, fmt.Errorf("look at the store %s: %w", s.dir, err)
	}
	return state, nil
}
