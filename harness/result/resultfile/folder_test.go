package resultfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"snatlab/harness/result"
)

func TestWriteResult(t *testing.T) {
	t.Parallel()
	drawID := func(w io.Writer, r *result.Result) error {
		_, err := io.WriteString(w, "# "+r.ID+"\n")
		return err
	}
	draw := Reports{Markdown: drawID, HTML: drawID}
	path := filepath.Join(t.TempDir(), "results", "one")
	folder, err := PrepareFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if name := FindResult(path); name != "" {
		t.Errorf("found %s in a new folder", name)
	}
	r := &result.Result{Schema: result.Schema, ID: "first"}
	if err := folder.WriteResult(r, draw, false); err != nil {
		t.Fatal(err)
	}
	if name := FindResult(path); name != ResultName {
		t.Errorf("found %q", name)
	}
	t.Run("another run's result is not replaced", func(t *testing.T) {
		err := folder.WriteResult(&result.Result{ID: "second"}, draw, false)
		if want := "write " + filepath.Join(path, ResultName) + ": another run has written it meanwhile"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if stored, err := ReadResult(path); err != nil || stored.ID != "first" {
			t.Errorf("got %v, %v", stored, err)
		}
	})
	t.Run("only the files of the run are left", func(t *testing.T) {
		entries, err := os.ReadDir(path)
		if err != nil || len(entries) != 3 {
			t.Errorf("got %v, %v", entries, err)
		}
	})
	t.Run("a file that cannot be drawn is not written", func(t *testing.T) {
		broken := errors.New("no text")
		err := folder.Write("half.txt", func(io.Writer) error { return broken })
		if _, missing := os.Stat(filepath.Join(path, "half.txt")); !errors.Is(err, broken) || missing == nil {
			t.Errorf("got %v, and the file is there: %v", err, missing == nil)
		}
	})
}

func TestRemoveEmpty(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ made, full, stays bool }{
		"an empty folder that was made": {made: true},
		"a folder with a file":          {made: true, full: true, stays: true},
		"a folder of the user's":        {stays: true},
	} {
		path := filepath.Join(t.TempDir(), "run")
		if !tc.made {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		folder, err := PrepareFolder(path)
		if err != nil {
			t.Fatal(err)
		}
		if tc.full {
			if err := folder.Write("some.txt", func(io.Writer) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		folder.RemoveEmpty()
		if _, err := os.Stat(path); (err == nil) != tc.stays {
			t.Errorf("%s: %v", name, err)
		}
		if err := folder.Close(); err != nil {
			t.Error(err)
		}
	}
}
