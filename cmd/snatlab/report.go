package main

import (
	"cmp"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/report/page"
	"snatlab/harness/result/resultfile"
)

func reportCommand() *cobra.Command {
	var f formatFlags
	c := &cobra.Command{
		Use:   "report RESULT",
		Short: "Print the answer and the figures of an earlier run again",
		Long: `Print the result of an earlier run again, from its result.json or from its
folder: the first screen, with --full all figures, rules and warnings, or any of
the other forms of snatlab run.

--html prints it as a page for a browser, which is one file that loads nothing.`,
		Example: `  snatlab report results/20261122-214500-3f9c2a
  snatlab report --full results/20261122-214500-3f9c2a
  snatlab report --markdown result.json > report.md
  snatlab report --html result.json > report.html
  snatlab report --ktap result.json`,
		ValidArgsFunction: completeFiles("json"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := cmp.Or(f.checkFormats(c), checkReportFile(c, "junit", f.junit)); err != nil {
				return err
			}
			r, err := resultfile.ReadResult(args[0])
			if err != nil {
				return usageError{c, err}
			}
			screen := f.textOf()
			if f.html {
				screen = page.WriteRun
			}
			return errors.Join(runRenderers.choose(f, screen)(os.Stdout, r), runRenderers.writeJUnit(f, r))
		},
	}
	f.addFormats(c, "")
	f.addFull(c)
	c.Flags().BoolVar(&f.html, "html", false, "print report.html")
	return c
}
