package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A report is appended whole or not at all, and only to a regular file.
func TestAppendReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	draw := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	path, link := filepath.Join(dir, "summary.md"), filepath.Join(dir, "link.md")
	must(t, os.Symlink(path, link))
	must(t, appendReport(path, draw("# one\n")))
	must(t, appendReport(path, draw("# two\n")))
	for _, c := range []struct {
		name, path string
		draw       func(io.Writer) error
		want       string
	}{
		{"a file that would be too large", path, draw(strings.Repeat("x", maxStepSummary-10)), "larger than 1 MiB"},
		{"a report that cannot be drawn", path, func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return errors.New("torn") }, "torn"},
		{"a link", link, draw("x"), "a symbolic link, not a regular file"},
		{"a folder", dir, draw("x"), "a folder, not a regular file"},
		{"a device", "/dev/null", draw("x"), "a device, not a regular file"},
	} {
		if err := appendReport(c.path, c.draw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if string(text) != "# one\n\n# two\n\n" {
		t.Errorf("%q", text)
	}
}
