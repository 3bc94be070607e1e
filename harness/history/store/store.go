// Package store keeps the results of runs in a folder, and lists, chooses and prunes
// them.
//
// A store is a folder with a sub-folder for each run, named by the run's ID:
//
//	20261122-214500-3f9c2a/result.json   the result, as `snatlab run` writes it
//	20261122-214500-3f9c2a/summary.json  enough to list the run
//	.store.json                          the version of this layout
//
// A run is written to a folder with a hidden name, synced, and then renamed: it is
// there whole or not at all, and is never changed. So any number of programs can
// write and read at the same time without a server. Unfinished runs of a program
// that died stay hidden; `snatlab history prune` removes them.
//
// summary.json can be derived from result.json. It is kept because ten thousand
// results are a gigabyte of JSON. It contains the size and the modification time of
// the result that it was made from. If it is missing, or was made from another
// result, the result itself is read: folders that were copied by hand, and results/
// of `snatlab run`, are stores as well.
//
// A run that cannot be read is reported in a warning, and the others are read.
//
// # Keys
//
// Figures are compared only between runs with the same [result.Key]: the scenario, by
// name and hash, the architecture, the CPUs, the driver, the privilege, the program
// that wrote the masquerade rule and its version, the Docker engine, the firewall,
// the hypervisor, and the accelerator of a matrix's guest. If one of these differs,
// other figures are to be expected: a run in a user namespace shares no table with
// others, and a guest under emulation is ten times slower than its host. The kernel
// is left out because users want to compare kernels. The model of the CPU is left out
// because hosted runners change it from night to night.
//
// Runs by hand (`snatlab run`) are kept with the others, and are series of their own:
// they are no nights, and the history of the nights is without them.
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

// Open returns the store in dir, which need not exist: the first Put makes it. It is
// an error if dir is not a folder, or a store that another version of snatlab wrote in a
// layout that this one does not know. Nothing is written then.
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
	if err := checkVersion(path); err != nil {
		return nil, err
	}
	return &Store{path}, nil
}

// Variable is the environment variable that names the store without --store.
const Variable = "SNATLAB_STORE"

// DefaultDir returns the folder of the store without --store: that of [Variable], else
// one in /var/lib for root, and for other users one in the folder that the XDG base
// directory specification has for the state of programs.
func DefaultDir() string {
	if dir := os.Getenv(Variable); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/snatlab"
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // as the specification demands
		home, _ := os.UserHomeDir()
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "snatlab")
}

// Dir returns the folder of the store.
func (s *Store) Dir() string { return s.dir }

// Exists reports whether the folder exists.
func (s *Store) Exists() bool {
	_, err := os.Stat(s.dir)
	return err == nil
}

// Read reads the whole result of a run.
func (s *Store) Read(r result.RunSummary) (*result.Result, error) {
	return resultfile.ReadResult(s.pathOf(r))
}

// pathOf returns the folder of a run.
func (s *Store) pathOf(r result.RunSummary) string { return filepath.Join(s.dir, r.Folder) }

// ReadState counts the runs of the store and their bytes.
func (s *Store) ReadState() (result.StoreState, error) {
	state := result.StoreState{Path: s.dir}
	// The store may be a link to its folder, which WalkDir would not follow.
	err := filepath.WalkDir(s.dir+"/.", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed in the meantime, or not made yet
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
		return state, fmt.Errorf("read the store %s: %w", s.dir, err)
	}
	return state, nil
}
