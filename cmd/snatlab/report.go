package main

import (
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/report"
	"snatlab/harness/result/resultfile"
)

func reportCommand() *cobra.Command {
	var markdown bool
	c := &cobra.Command{
		Use:   "report RESULT",
		Short: "Print the comparison of an earlier run again",
		Long: `Print the comparison of an earlier run again, from its result.json or from its
folder.`,
		Example: `  snatlab report results/20261122-214500-3f9c2a
  snatlab report --markdown result.json > report.md`,
		ValidArgsFunction: completeFiles("json"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := resultfile.ReadResult(args[0])
			if err != nil {
				return usageError{c, err}
			}
			if markdown {
				return report.WriteMarkdown(os.Stdout, r)
			}
			return report.WriteText(os.Stdout, r)
		},
	}
	c.Flags().BoolVar(&markdown, "markdown", false, "print report.md")
	return c
}
