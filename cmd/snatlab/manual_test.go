package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// writePages writes the manual as a user of that home directory, and returns its folder.
func writePages(t *testing.T, home string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "man", "man1")
	c := exec.Command(binary, "docs", "--man", dir)
	c.Env = []string{"HOME=" + home, "XDG_STATE_HOME=" + home, "SOURCE_DATE_EPOCH=86400"}
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// Each command has a page, which names each of its flags. Hidden commands have none.
func TestManualPages(t *testing.T) {
	dir := writePages(t, "/nonexistent")
	pages := 0
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c.HasParent() || c.IsAdditionalHelpTopicCommand() {
			return
		}
		pages++
		text, err := os.ReadFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(string(text), `\fB--`+f.Name+`\fP`) {
				t.Errorf("%s: the page has no --%s", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(rootCommand())
	if files, err := os.ReadDir(dir); err != nil || len(files) != pages {
		t.Errorf("%d files for %d commands, %v", len(files), pages, err)
	}
}

// The pages are the same for every user who writes them.
func TestManualUser(t *testing.T) {
	const home = "/home/someone"
	mine, other := writePages(t, home), writePages(t, "/nonexistent")
	files, err := os.ReadDir(mine)
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(mine, file.Name()))
		must(t, err)
		same, err := os.ReadFile(filepath.Join(other, file.Name()))
		must(t, err)
		if string(text) != string(same) || strings.Contains(string(text), home) {
			t.Errorf("%s depends on the user", file.Name())
		}
	}
}

// The texts of a command are not Markdown: each character is in the page as it was
// written.
func TestManualEscapes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(writePages(t, "/nonexistent"), "snatlab-nightly.1"))
	must(t, err)
	for _, want := range []string{"nightly [SCENARIO...] [flags]", `*\&.yaml in the folder`, "$GITHUB_STEP_SUMMARY"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
