package main

import "github.com/spf13/cobra"

// setHelp makes cobra's help command refuse the name of a command that does not exist.
// Otherwise cobra prints the help of the last command that it found, and exits 0.
func setHelp(help *cobra.Command) {
	help.Use = "help [COMMAND...]"
	help.Short = "Print the help of a command"
	help.Long = "Print the help of a command, as --help after the command does.\n\nExit codes: 0 the help was printed; 2 there is no such command."
	help.RunE = func(c *cobra.Command, args []string) error {
		about, rest, err := c.Root().Find(args)
		switch {
		case err != nil:
			return usageError{c, err}
		case len(rest) > 0:
			return usageError{about, unknownCommand(about, rest[0])}
		}
		about.InitDefaultHelpFlag()
		about.InitDefaultVersionFlag()
		return about.Help()
	}
}
