// Package store keeps the results of runs in a folder, and lists and chooses them.
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
package store

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
func (s *Store) Read(r result.RunSummary) (*result.Result, error) {
	return resultfile.ReadResult(filepath.Join(s.dir, r.Folder))
}

// ReadState is what the store takes.
func (s *Store) ReadState() (result.StoreState, error) {
	state := result.StoreState{Path: s.dir}
	// The store may be a link to its folder, which WalkDir would not follow.
	err := filepath.WalkDir(s.dir+"/.", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, or not made yet
		}
		if err != nil || entry.IsDir() {
			return err
		}
		if entry.Name() == resultfile.ResultName && !strings.HasPrefix(filepath.Base(filepath.Dir(path)), hiddenPrefix) {
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
