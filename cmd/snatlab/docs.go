package main

import (
	"github.com/spf13/cobra"

	"snatlab/docs"
)

// pages are the pages of the documentation.
var pages = shelf{
	names: docs.Names, read: docs.Read, describe: docs.Title, kind: "page",
	after: "\nTo read one: snatlab docs PAGE. Of one command: snatlab COMMAND --help\n",
}

func docsCommand() *cobra.Command {
	return shelfCommand(pages, &cobra.Command{
		Use:   "docs [PAGE]",
		Short: "List the pages of the documentation, or print one",
		Long: `List the pages of the documentation, or print one, in Markdown. They are inside
the program, and are those of its version.

Exit codes: 0 done; 2 there is no such page.`,
		Example: `  snatlab docs
  snatlab docs scenario | less`,
	})
}
