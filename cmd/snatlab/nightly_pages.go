package main

import (
	"cmp"
	"errors"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"snatlab/harness/history/store"
	"snatlab/harness/report/page"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// The pages of a night in the folder of --pages.
const (
	nightPageName   = "night.html"
	historyPageName = "history.html"
)

// checkPages checks that the pages can be written, before anything is run.
func (f nightlyFlags) checkPages(c *cobra.Command) error {
	if f.pages == "" {
		return nil
	}
	return cmp.Or(checkReportFile(c, "pages", filepath.Join(f.pages, nightPageName)), checkReportFile(c, "pages", filepath.Join(f.pages, historyPageName)))
}

// writePages writes the page of the night and that of all stored results. Other users read
// them, whatever the umask is.
func (f nightlyFlags) writePages(record *result.Night, kept *store.Store) error {
	if f.pages == "" {
		return nil
	}
	h, err := kept.History("")
	if err != nil {
		return err
	}
	return errors.Join(
		resultfile.WritePublicFile(filepath.Join(f.pages, historyPageName), func(w io.Writer) error { return page.WriteHistory(w, h) }),
		resultfile.WritePublicFile(filepath.Join(f.pages, nightPageName), func(w io.Writer) error { return page.WriteNight(historyPageName)(w, record) }))
}
