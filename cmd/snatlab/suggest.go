package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"snatlab/harness/scenario/strictyaml"
)

// checkCommandName refuses an argument of a command that only groups others: cobra
// passes a name there that it does not know.
func checkCommandName(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(c, args[0])
}

// unknownCommand returns the error of a name that no command under c has.
func unknownCommand(c *cobra.Command, name string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("unknown command %q for %q%s", name, c.CommandPath(), didYouMean(name, names, ""))
}

// unknownFlag returns the error of a flag that c does not have. The long name of
// a flag after a single dash is a common mistake, as Go's own tools accept it.
func unknownFlag(c *cobra.Command, err *pflag.NotExistError) error {
	dashes, name := "--", err.GetSpecifiedName()
	if short := err.GetSpecifiedShortnames(); short != "" {
		dashes = "-"
		name, _, _ = strings.Cut(short, "=")
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return fmt.Errorf("unknown flag: %s%s%s", dashes, name, didYouMean(name, names, "--"))
}

// didYouMean returns the end of an error about an unknown name: the similar names, or
// nothing.
func didYouMean(typed string, names []string, dashes string) string {
	alike := findSimilar(typed, names)
	for i := range alike {
		alike[i] = dashes + alike[i]
	}
	if len(alike) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", joinWords(alike, "or"))
}

// joinWords joins words for a sentence: "a", "a or b", "a, b or c".
func joinWords(words []string, last string) string {
	n := len(words) - 1
	if n < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

// findSimilar returns the names that begin with typed. If there is none, it returns
// the names with the fewest edits, at most one for each three letters. (Cobra allows
// two edits for every name, which makes "out" similar to "run".)
func findSimilar(typed string, names []string) (alike []string) {
	typed = strings.ToLower(typed)
	if typed == "" || len(typed) > maxTyped {
		return nil
	}
	fewest := max(1, len(typed)/3)
	for _, name := range names {
		n := strictyaml.EditDistance(typed, name)
		if strings.HasPrefix(name, typed) {
			n = 0
		}
		if n < fewest {
			fewest, alike = n, nil
		}
		if n == fewest {
			alike = append(alike, name)
		}
	}
	return alike
}

// maxTyped is the longest text that is compared with names. No name is half as long.
const maxTyped = 40
