package main

import (
	"errors"

	"github.com/spf13/cobra"

	"snatlab/docs"
)

// pages are the pages of the documentation.
var pages = shelf{
	names: docs.Names, read: docs.Read, describe: docs.Title, kind: "page",
	after: "\nTo read one: snatlab docs PAGE. Of one command: snatlab COMMAND --help\n",
}

func docsCommand() *cobra.Command {
	var manual string
	c := shelfCommand(pages, &cobra.Command{
		Use:   "docs [PAGE]",
		Short: "List the pages of the documentation, or print one",
		Long: `List the pages of the documentation, or print one, in Markdown. They are inside
the program, and are those of its version.

With --man DIR, a page for man(1) of each command is written into the folder DIR
instead. $SOURCE_DATE_EPOCH sets their date.

Exit codes: 0 done; 2 there is no such page; 3 a page cannot be written.`,
		Example: `  snatlab docs
  snatlab docs scenario | less
  snatlab docs --man ~/.local/share/man/man1`,
	})
	c.Flags().StringVar(&manual, "man", "", "write the manual page of each command into this folder")
	show := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case manual == "":
			return show(c, args)
		case len(args) > 0:
			return usageError{c, errors.New("PAGE and --man: use only one of them")}
		}
		return writeManual(manual)
	}
	return c
}
