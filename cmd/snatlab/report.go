package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/report"
	"snatlab/harness/report/page"
	"snatlab/harness/result/resultfile"
)

func reportCommand() *cobra.Command {
	var markdown, html bool
	c := &cobra.Command{
		Use:   "report RESULT",
		Short: "Print the comparison of an earlier run again",
		Long: `Print the comparison of an earlier run again, from its result.json or from its
folder.

--html prints it as a page for a browser, which is one file that loads nothing.`,
		Example: `  snatlab report results/20261122-214500-3f9c2a
  snatlab report --markdown result.json > report.md
  snatlab report --html result.json > report.html`,
		ValidArgsFunction: completeFiles("json"),
		RunE: func(c *cobra.Command, args []string) error {
			if markdown && html {
				return usageError{c, errors.New("--markdown and --html exclude each other")}
			}
			r, err := resultfile.ReadResult(args[0])
			if err != nil {
				return usageError{c, err}
			}
			switch {
			case markdown:
				return report.WriteMarkdown(os.Stdout, r)
			case html:
				return page.WriteRun(os.Stdout, r)
			}
			return report.WriteText(os.Stdout, r)
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "print report.md")
	c.Flags().BoolVar(&html, "html", false, "print report.html")
	return c
}
