package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func reportCommand() *cobra.Command {
	var f formatFlags
	var dir string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Print the answer and the figures of an earlier run again",
		Long: `Print the result of an earlier run again: the first screen, with --full all
figures, rules and warnings, or any of the other forms of snatlab run. RUN is a
result.json, its folder, or a run of the store ("snatlab history runs" lists
them): its ID or the beginning of it, its label, or the version of its kernel.
Of several runs with a label or on a kernel, the newest is printed. A file of that
name is used instead, and that is said.

--html prints it as a page for a browser, which is one file that loads nothing.`,
		Example: `  snatlab report 20261122-214500-3f9c2a
  snatlab report --full before-upgrade
  snatlab report --markdown result.json > report.md
  snatlab report --html result.json > report.html
  snatlab report --ktap result.json`,
		ValidArgsFunction: completeReport,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cmp.Or(f.checkFormats(c), checkReportFile(c, "junit", f.junit)); err != nil {
				return err
			}
			r, err := readRun(c, args[0], dir)
			if err != nil {
				return err
			}
			screen := f.textOf()
			if f.html {
				screen = page.WriteRun
			}
			return errors.Join(runRenderers.choose(f, screen)(os.Stdout, r), runRenderers.writeJUnit(f, r))
		},
	}
	storeFlag(c, &dir)
	f.addFormats(c, "")
	f.addFull(c)
	c.Flags().BoolVar(&f.html, "html", false, "print report.html")
	return c
}

// readRun reads the result at a path. A name that is none is that of a run of the store.
func readRun(c *cobra.Command, name, dir string) (*result.Result, error) {
	_, err := os.Stat(name)
	if missing := errors.Is(err, fs.ErrNotExist); missing && !strings.ContainsRune(name, os.PathSeparator) {
		return readStored(c, name, dir)
	}
	if s, err := openStore(dir); err == nil {
		if text := s.DescribeShadowed(name); text != "" {
			printWarning(text)
		}
	}
	r, err := resultfile.ReadResult(name)
	if err != nil {
		return nil, usageError{c, err}
	}
	return r, nil
}

// readStored reads a run of the store.
func readStored(c *cobra.Command, name, dir string) (*result.Result, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	run, err := s.FindRun(name, printWarning)
	if errors.As(err, new(store.SelectionError)) {
		return nil, usageError{c, err}
	}
	if err != nil {
		return nil, err
	}
	return s.Read(run)
}
