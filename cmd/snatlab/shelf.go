package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// shelf is a set of texts inside the program.
type shelf struct {
	names    func() []string
	read     func(name string) (text []byte, ok bool)
	describe func(name string) string
	kind     string // what each text is
	after    string // printed below the list
}

// shelfCommand makes c list the texts of a shelf, or print one.
func shelfCommand(s shelf, c *cobra.Command) *cobra.Command {
	c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		for _, name := range withPrefix(s.names(), typed) {
			if !isFull(c, args) {
				names = append(names, cobra.CompletionWithDesc(name, s.describe(name)))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return s.writeList(os.Stdout)
		}
		text, ok := s.read(args[0])
		if !ok {
			return usageError{c, fmt.Errorf("there is no %s %q%s", s.kind, args[0], didYouMean(args[0], s.names(), ""))}
		}
		_, err := os.Stdout.Write(text)
		return err
	}
	return c
}

// writeList writes the name of each text and what it is about.
func (s shelf) writeList(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range s.names() {
		fmt.Fprintf(table, "%s\t%s\n", name, s.describe(name))
	}
	fmt.Fprint(table, s.after)
	return table.Flush()
}
