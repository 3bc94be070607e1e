package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// argument is a positional argument in the usage line of a command: NAME, [NAME] if it
// is optional, or [NAME...] if there may be several.
type argument struct {
	name     string
	optional bool
	repeated bool
}

// argumentsOf returns the positional arguments in the usage line of c. They come
// before the flags in that line.
func argumentsOf(c *cobra.Command) (all []argument) {
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break
		}
		a := argument{optional: strings.HasPrefix(word, "[")}
		a.name, a.repeated = strings.CutSuffix(strings.Trim(word, "[]"), "...")
		all = append(all, a)
	}
	return all
}

// checkUsage makes c and every command under it check its arguments against its usage
// line, and then with its own check, if it has one. A command that only groups others
// prints its help: cobra does not check the arguments of a command without a function.
func checkUsage(c *cobra.Command) {
	if !c.Runnable() {
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	own := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		err := checkArguments(c, args)
		if err == nil && own != nil {
			err = own(c, args)
		}
		if err != nil {
			return usageError{c, err}
		}
		return nil
	}
	for _, sub := range c.Commands() {
		checkUsage(sub)
	}
}

// checkArguments returns an error about a missing or surplus argument.
func checkArguments(c *cobra.Command, args []string) error {
	allowed := argumentsOf(c)
	if len(allowed) == 0 && c.HasSubCommands() {
		return checkCommandName(c, args)
	}
	var names, missing []string
	several := false
	for i, a := range allowed {
		names, several = append(names, a.name), a.repeated
		if i >= len(args) && !a.optional {
			missing = append(missing, a.name)
		}
	}
	switch path := withoutRoot(c); {
	case len(missing) == 1:
		return fmt.Errorf("%s: %s is missing", path, missing[0])
	case len(missing) > 1:
		return fmt.Errorf("%s: %s are missing", path, joinWords(missing, "and"))
	case several || len(args) <= len(names):
		return nil
	case len(names) == 0:
		return fmt.Errorf("%s: unexpected argument %q; allowed: none", path, args[0])
	default:
		return fmt.Errorf("%s: unexpected argument %q; allowed: %s", path, args[len(names)], strings.Join(names, " "))
	}
}

// withoutRoot returns the full name of c without "snatlab".
func withoutRoot(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}
