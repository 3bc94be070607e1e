package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func listAll(t *testing.T, s *Store) ([]result.RunSummary, []string) {
	t.Helper()
	runs, warnings, err := s.ListRuns()
	if err != nil {
		t.Fatal(err)
	}
	return runs, warnings
}

// A result comes back from the store unchanged, and runs are listed oldest first.
func TestPut(t *testing.T) {
	t.Parallel()
	late, early := historytest.RunSpec{Day: 3}.MakeResult(), historytest.RunSpec{Day: 1}.MakeResult()
	s := newStore(t, late, early)
	runs, warnings := listAll(t, s)
	if len(warnings) > 0 || len(runs) != 2 || runs[0].ID != early.ID || runs[1].ID != late.ID {
		t.Fatalf("%v, %v", runs, warnings)
	}
	if diff := cmp.Diff(result.NewRunSummary(early), runs[0]); diff != "" {
		t.Error(diff)
	}
	r, err := s.Read(runs[1])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(late, r); diff != "" {
		t.Error(diff)
	}
	size, err := s.ReadState()
	if err != nil || size.Runs != 2 || size.Bytes == 0 || size.Path != s.Dir() {
		t.Errorf("%+v, %v", size, err)
	}
}

// All users may read the files, whatever the umask is.
func TestPutPermissions(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	r := historytest.RunSpec{}.MakeResult()
	s := newStore(t, r)
	for path, want := range map[string]fs.FileMode{r.ID: 0o755, r.ID + "/result.json": 0o644, r.ID + "/summary.json": 0o644} {
		if info, err := os.Stat(filepath.Join(s.Dir(), path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// A store that does not exist has no runs, and is not made by reading.
func TestMissingStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	runs, warnings := listAll(t, s)
	pruned, err := s.Prune(Policy{}, historytest.FirstDay, false)
	if size, sizeErr := s.ReadState(); len(runs)+len(warnings)+len(pruned.Runs)+size.Runs > 0 || err != nil || sizeErr != nil || s.Exists() {
		t.Errorf("%v, %v, %v, %v", runs, warnings, err, sizeErr)
	}
}

// A run is stored once.
func TestPutTwice(t *testing.T) {
	t.Parallel()
	r := historytest.RunSpec{}.MakeResult()
	s := newStore(t, r)
	if err := s.Put(r); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if runs, warnings := listAll(t, s); len(runs) != 1 || len(warnings) != 0 {
		t.Errorf("%v, %v", runs, warnings)
	}
}

// No ID leads out of the store.
func TestPutBadID(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, id := range []string{"", ".", "..", "../out", "a/b", ".new-x", strings.Repeat("x", 200)} {
		r := historytest.RunSpec{}.MakeResult()
		r.ID = id
		if err := s.Put(r); err == nil {
			t.Errorf("%q is kept", id)
		}
	}
}

// Any number of programs can write and read at the same time.
func TestPutConcurrently(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var wait sync.WaitGroup
	for day := range 16 {
		wait.Go(func() {
			if err := s.Put(historytest.RunSpec{Day: day}.MakeResult()); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if _, warnings, err := s.ListRuns(); err != nil || len(warnings) > 0 {
				t.Errorf("%v, %v", warnings, err)
			}
		})
	}
	wait.Wait()
	if runs, warnings := listAll(t, s); len(runs) != 16 || len(warnings) > 0 {
		t.Errorf("%d runs, %v", len(runs), warnings)
	}
}

// Of two writers of one run, one gets an error.
func TestPutRace(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	errs := make(chan error)
	for range 2 {
		go func() { errs <- s.Put(historytest.RunSpec{}.MakeResult()) }()
	}
	if a, b := <-errs, <-errs; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), fs.ErrExist) {
		t.Errorf("%v, %v", a, b)
	}
	if runs, warnings := listAll(t, s); len(runs) != 1 || len(warnings) > 0 {
		t.Errorf("%v, %v", runs, warnings)
	}
}

// A run that cannot be read is named in a warning, and the others are read.
func TestListUnreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"truncated": {func(t *testing.T, dir string) { checkError(t, os.Truncate(dir+"/result.json", 700)) },
			"result.json: not a snatlab result: unexpected end of JSON input; left out"},
		"empty":        {func(t *testing.T, dir string) { checkError(t, os.Truncate(dir+"/result.json", 0)) }, "result.json: the file is empty; left out"},
		"newer schema": {func(t *testing.T, dir string) { writeText(t, dir+"/result.json", `{"schema": "snatlab.result/v2"}`) }, "result.json: schema snatlab.result/v2; this snatlab reads snatlab.result/v1; left out"},
		"gone":         {func(t *testing.T, dir string) { checkError(t, os.Remove(dir+"/result.json")) }, "no result.json in it; left out"},
		"a link": {func(t *testing.T, dir string) {
			checkError(t, os.Rename(dir+"/result.json", dir+"/other.json"))
			checkError(t, os.Symlink("other.json", dir+"/result.json"))
		}, "its result.json is no regular file; left out"},
		"a pipe": {func(t *testing.T, dir string) {
			checkError(t, os.Remove(dir+"/result.json"))
			checkError(t, unix.Mkfifo(dir+"/result.json", 0o644))
		}, "its result.json is no regular file; left out"},
		"a folder that is a link": {func(t *testing.T, dir string) {
			checkError(t, os.Rename(dir, dir+"/../../away"))
			checkError(t, os.Symlink("../away", dir))
		}, "neither a folder nor a file; left out"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := historytest.RunSpec{Day: 1}.MakeResult(), historytest.RunSpec{Day: 2}.MakeResult()
			s := newStore(t, bad, good)
			dir := filepath.Join(s.Dir(), bad.ID)
			c.spoil(t, dir)
			runs, warnings := listAll(t, s)
			if len(runs) != 1 || runs[0].ID != good.ID || len(warnings) != 1 || warnings[0] != dir+": "+c.want {
				t.Errorf("%d runs; got %q\nwant %q", len(runs), warnings, dir+": "+c.want)
			}
		})
	}
}

// A summary that was not made from the result is not used.
func TestListStaleSummary(t *testing.T) {
	t.Parallel()
	r := historytest.RunSpec{}.MakeResult()
	for name, spoil := range map[string]func(dir string){
		"gone":    func(dir string) { checkError(t, os.Remove(dir+"/summary.json")) },
		"no JSON": func(dir string) { writeText(t, dir+"/summary.json", "{") },
		"a pipe": func(dir string) {
			checkError(t, os.Remove(dir+"/summary.json"))
			checkError(t, unix.Mkfifo(dir+"/summary.json", 0o644))
		},
		"outdated": func(dir string) {
			text, _ := os.ReadFile(dir + "/result.json")
			writeText(t, dir+"/result.json", string(text)+"\n")
		},
		"another version's": func(dir string) {
			text, _ := os.ReadFile(dir + "/summary.json")
			writeText(t, dir+"/summary.json", strings.Replace(string(text), "summary/v1", "summary/v2", 1))
		},
	} {
		s := newStore(t, r)
		dir := filepath.Join(s.Dir(), r.ID)
		text, err := os.ReadFile(dir + "/summary.json")
		checkError(t, err)
		// A wrong kernel shows that the summary is used.
		writeText(t, dir+"/summary.json", strings.Replace(string(text), `"kernel":"6.12.107"`, `"kernel":"9.9"`, 1))
		if runs, _ := listAll(t, s); runs[0].Kernel != "9.9" {
			t.Fatal("the summary was not read")
		}
		spoil(dir)
		if runs, warnings := listAll(t, s); len(runs) != 1 || runs[0].Kernel != "6.12.107" || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", name, runs, warnings)
		}
	}
}

// Folders that were made by hand are read, or named in a warning.
func TestListForeignFolders(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	checkError(t, os.Mkdir(s.Dir()+"/notes", 0o755))
	writeText(t, s.Dir()+"/notes/todo.txt", "x")
	writeText(t, s.Dir()+"/lock", "")
	other := historytest.RunSpec{Day: 5}.MakeResult()
	checkError(t, os.Mkdir(s.Dir()+"/before upgrade", 0o755))
	var text strings.Builder
	checkError(t, resultfile.WriteJSON(&text, other))
	writeText(t, s.Dir()+"/before upgrade/result.json", text.String())
	checkError(t, os.CopyFS(s.Dir()+"/copy", os.DirFS(s.Dir()+"/before upgrade")))

	runs, warnings := listAll(t, s)
	if len(runs) != 2 || runs[1].ID != other.ID || runs[1].Folder != "before upgrade" {
		t.Errorf("%v", runs)
	}
	want := []string{
		s.Dir() + "/notes: no result.json in it; left out",
		s.Dir() + "/copy: the run " + other.ID + " is in another folder as well; left out",
	}
	if !cmp.Equal(warnings, want) {
		t.Errorf("got %q\nwant %q", warnings, want)
	}
}

// Leftovers of a writer that died are named and pruned, and those of a writer that
// lives are not.
func TestPruneLeftovers(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	root, err := os.OpenRoot(s.Dir())
	checkError(t, err)
	defer root.Close()
	checkError(t, os.Mkdir(s.Dir()+"/"+newPrefix+"dead", 0o755))
	writeText(t, s.Dir()+"/"+newPrefix+"dead/result.json", "{")

	alive, err := holdLock(root, unix.F_RDLCK) // a writer, whose folder it might be
	checkError(t, err)
	_, warnings := listAll(t, s)
	pruned, err := s.Prune(Policy{KeepDays}, historytest.FirstDay, false)
	if err != nil || len(pruned.Leftovers) > 0 || len(warnings) > 0 {
		t.Errorf("%q, %+v, %v", warnings, pruned, err)
	}
	checkError(t, alive.Close())

	_, warnings = listAll(t, s)
	if len(warnings) != 1 || warnings[0] != s.Dir()+"/.new-dead: left by a program that died (snatlab history prune removes it)" {
		t.Errorf("%q", warnings)
	}
	pruned, err = s.Prune(Policy{KeepDays}, historytest.FirstDay, false)
	if err != nil || !slices.Equal(pruned.Leftovers, []string{".new-dead"}) || len(pruned.Runs) > 0 {
		t.Errorf("%+v, %v", pruned, err)
	}
	if _, warnings := listAll(t, s); len(warnings) > 0 {
		t.Errorf("%q", warnings)
	}
}

// A trial of the room takes no lock: only its age shows that it is a leftover.
func TestPruneRoomTrials(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	young, old := s.Dir()+"/"+resultfile.TrialPrefix+"1", s.Dir()+"/"+resultfile.TrialPrefix+"2"
	writeText(t, young, "x")
	writeText(t, old, "x")
	checkError(t, os.Chtimes(old, historytest.FirstDay, historytest.FirstDay))
	if _, warnings := listAll(t, s); len(warnings) != 1 || warnings[0] != old+": left by a program that died (snatlab history prune removes it)" {
		t.Errorf("%q", warnings)
	}
	pruned, err := s.Prune(Policy{KeepDays}, historytest.FirstDay, false)
	if err != nil || !slices.Equal(pruned.Leftovers, []string{resultfile.TrialPrefix + "2"}) {
		t.Errorf("%+v, %v", pruned, err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// A pipe in place of the lock file blocks no program.
func TestLockIsPipe(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	checkError(t, os.Remove(s.Dir()+"/"+writersLock))
	checkError(t, unix.Mkfifo(s.Dir()+"/"+writersLock, 0o644))
	checkError(t, os.Mkdir(s.Dir()+"/"+newPrefix+"dead", 0o755))
	_, prune := s.Prune(Policy{KeepDays}, historytest.FirstDay, false)
	for _, err := range []error{s.Put(historytest.RunSpec{Day: 1}.MakeResult()), prune} {
		if err == nil || !strings.Contains(err.Error(), ".writing is no regular file (remove it)") {
			t.Errorf("%v", err)
		}
	}
	if runs, _ := listAll(t, s); len(runs) != 1 {
		t.Errorf("%d runs", len(runs))
	}
}

// A store may be a link to its folder.
func TestStoreIsLink(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "link")
	checkError(t, os.Symlink(newStore(t, historytest.RunSpec{}.MakeResult()).Dir(), link))
	s, err := Open(link)
	checkError(t, err)
	checkError(t, s.Put(historytest.RunSpec{Day: 1}.MakeResult()))
	if size, err := s.ReadState(); err != nil || size.Runs != 2 || size.Bytes == 0 || size.Path != link {
		t.Errorf("%+v, %v", size, err)
	}
	if runs, warnings := listAll(t, s); len(runs) != 2 || len(warnings) > 0 {
		t.Errorf("%d runs, %q", len(runs), warnings)
	}
}

// The error about a name that is not synced says that the run is stored.
func TestPutUnsyncedName(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	root, err := os.OpenRoot(s.Dir())
	checkError(t, err)
	defer root.Close()
	checkError(t, root.Mkdir(newPrefix+"x", 0o755))
	err = publishFolder(root, newPrefix+"x", "x", func(*os.Root) error { return unix.EIO })
	if !errors.Is(err, unix.EIO) || !strings.HasPrefix(err.Error(), "it is stored, but may be lost if the machine crashes now: ") {
		t.Errorf("%v", err)
	}
	checkError(t, root.Remove("x"))
}

// A file cannot be opened as a store.
func TestOpenFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	writeText(t, file, "")
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "is not a folder (--store names another one)") {
		t.Errorf("%v", err)
	}
}

// A link in a store leads no writer out of it.
func TestLinkInStore(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{}.MakeResult())
	outside := t.TempDir()
	r := historytest.RunSpec{Day: 2}.MakeResult()
	checkError(t, os.Symlink(outside, filepath.Join(s.Dir(), r.ID)))
	if err := s.Put(r); err == nil {
		t.Error("the result was written through a link")
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("%v", entries)
	}
	if _, err := s.Prune(Policy{}, historytest.FirstDay.AddDate(9, 0, 0), false); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// Runs are listed without reading their results.
func TestListReadsSummaries(t *testing.T) {
	t.Parallel()
	r := historytest.RunSpec{}.MakeResult()
	s := newStore(t, r)
	path := filepath.Join(s.Dir(), r.ID, resultfile.ResultName)
	info, err := os.Stat(path)
	checkError(t, err)
	writeText(t, path, strings.Repeat("x", int(info.Size()))) // of the same size, and as it seems never changed
	checkError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	if runs, warnings := listAll(t, s); len(runs) != 1 || len(warnings) > 0 {
		t.Errorf("%v, %v", runs, warnings)
	}
}

func BenchmarkRuns(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		r := historytest.RunSpec{Day: i % 300}.MakeResult()
		r.ID = fmt.Sprint(r.ID, i)
		if err := s.Put(r); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if runs, _, err := s.ListRuns(); err != nil || len(runs) != 1000 {
			b.Fatal(len(runs), err)
		}
	}
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	checkError(t, os.WriteFile(path, []byte(text), 0o644))
}
