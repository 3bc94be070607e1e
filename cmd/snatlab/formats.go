package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"snatlab/harness/place"
	"snatlab/harness/report"
	"snatlab/harness/report/export"
	"snatlab/harness/report/trend"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// formatFlags are the flags that choose what a command prints instead of its screen, and
// the file of --junit.
type formatFlags struct {
	json     bool
	ktap     bool
	csv      bool
	markdown bool
	html     bool // of report
	full     bool // of run and report
	junit    string
}

// addFormats adds the flags to a command whose record is printed as record with --json.
func (f *formatFlags) addFormats(c *cobra.Command, record string) {
	if record != "" {
		c.Flags().BoolVar(&f.json, "json", false, "print "+record+" as JSON")
	}
	c.Flags().BoolVar(&f.ktap, "ktap", false, "print a test for each arm and expectation, as KTAP of kernel CI")
	c.Flags().BoolVar(&f.csv, "csv", false, "print a line for each arm as CSV, with the columns of history --csv")
	c.Flags().BoolVar(&f.markdown, "markdown", false, "print Markdown")
	c.Flags().StringVar(&f.junit, "junit", "", "write a case for each arm and expectation to this file, as JUnit's XML")
}

// addFull adds the flag for everything about a run as text.
func (f *formatFlags) addFull(c *cobra.Command) {
	c.Flags().BoolVar(&f.full, "full", false, "print all figures, rules and warnings, not only the first screen")
}

// textOf returns the function that prints a run as text.
func (f formatFlags) textOf() func(io.Writer, *result.Result) error {
	if f.full {
		return onScreen(report.WriteFull)
	}
	return onScreen(report.WriteText)
}

// checkFormats returns an error if several formats are chosen.
func (f formatFlags) checkFormats(c *cobra.Command) error {
	var chosen []string
	for _, format := range []struct {
		name string
		set  bool
	}{{"--json", f.json}, {"--ktap", f.ktap}, {"--csv", f.csv}, {"--markdown", f.markdown}, {"--html", f.html}, {"--full", f.full}} {
		if format.set {
			chosen = append(chosen, format.name)
		}
	}
	if len(chosen) > 1 {
		return usageError{c, fmt.Errorf("%s: use only one of them", joinWords(chosen, "and"))}
	}
	return nil
}

// renderers are the functions that write a record in each format.
type renderers[T any] struct {
	ktap, csv, markdown, junit func(io.Writer, T) error
}

// The renderers of each record.
var (
	runRenderers    = renderers[*result.Result]{export.WriteRunKTAP, export.WriteRunCSV, report.WriteMarkdown, export.WriteRunJUnit}
	matrixRenderers = renderers[*result.Matrix]{export.WriteMatrixKTAP, export.WriteMatrixCSV, report.WriteMatrixMarkdown, export.WriteMatrixJUnit}
	nightRenderers  = renderers[*result.Night]{export.WriteNightKTAP, export.WriteNightCSV, trend.WriteNightMarkdown, export.WriteJUnit}
)

// choose returns the function of the format that the flags choose, or that of the screen.
func (r renderers[T]) choose(f formatFlags, screen func(io.Writer, T) error) func(io.Writer, T) error {
	switch {
	case f.json:
		return resultfile.WriteJSON[T]
	case f.ktap:
		return r.ktap
	case f.csv:
		return r.csv
	case f.markdown:
		return r.markdown
	}
	return screen
}

// writeFiles writes the file of --junit, and appends to the summary of a step of GitHub.
func (r renderers[T]) writeFiles(f formatFlags, record T) error {
	appendStepSummary(func(w io.Writer) error { return r.markdown(w, record) })
	return r.writeJUnit(f, record)
}

// writeJUnit writes the file of --junit. Another user reads it, whatever the umask is.
func (r renderers[T]) writeJUnit(f formatFlags, record T) error {
	if f.junit == "" {
		return nil
	}
	return resultfile.WritePublicFile(f.junit, func(w io.Writer) error { return r.junit(w, record) })
}

// stepSummaryVariable is the environment variable in which GitHub's runner names the file
// with the summary of a step.
const stepSummaryVariable = "GITHUB_STEP_SUMMARY"

// maxStepSummary is the size from which on GitHub refuses the summary of a step.
const maxStepSummary = 1 << 20

// appendStepSummary appends a report to the summary of a step. An error is a warning: the
// report is elsewhere as well.
func appendStepSummary(draw func(io.Writer) error) {
	path := os.Getenv(stepSummaryVariable)
	if path == "" {
		return
	}
	if err := appendReport(path, draw); err != nil {
		printWarning(fmt.Sprintf("the report is not in the summary of this job ($%s): %v", stepSummaryVariable, err))
	}
}

// appendReport appends a report to the regular file at path, or to a new one.
func appendReport(path string, draw func(io.Writer) error) (err error) {
	var text strings.Builder
	if err := draw(&text); err != nil {
		return err
	}
	folder, err := place.OpenFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	name := filepath.Base(path)
	if err := place.CheckReplaceable(folder, name); err != nil { // a pipe would keep this program waiting
		return fmt.Errorf("%s: %w", path, err)
	}
	file, err := folder.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	text.WriteString("\n") // the next report is another paragraph
	if info.Size()+int64(text.Len()) > maxStepSummary {
		return fmt.Errorf("%s would be larger than 1 MiB, which GitHub refuses", path)
	}
	_, err = io.WriteString(file, text.String())
	return err
}
