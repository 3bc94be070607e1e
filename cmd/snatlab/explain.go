package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"snatlab/harness/scenario"
	"snatlab/harness/scenario/strictyaml"
)

func explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KEY]",
		Short: "Explain a key of a scenario: type, default, bounds",
		Long: `Explain a key of a scenario: its type, what is allowed, its default, and what it
is for. A key under others is written with dots; lists are passed through. Without
KEY, list all keys.

Exit codes: 0 done; 2 there is no such key.`,
		Example: `  snatlab explain load.sync
  snatlab explain arms.masquerade`,
		ValidArgsFunction: completeKeys,
		RunE: func(c *cobra.Command, args []string) error {
			keys := scenario.Keys()
			if len(args) == 0 {
				return writeKeys(os.Stdout, keys)
			}
			for _, k := range keys {
				if k.Path == args[0] {
					return writeKey(os.Stdout, k, keys)
				}
			}
			return usageError{c, fmt.Errorf("a scenario has no key %q%s", args[0], suggestKey(args[0], keys))}
		},
	}
}

// writeKeys writes a line for each key.
func writeKeys(w io.Writer, keys []strictyaml.Key) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tTYPE\tDEFAULT")
	for _, k := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\n", k.Path, k.Kind, describeDefault(k))
	}
	return table.Flush()
}

// describeDefault returns the default of a key, or that it has none.
func describeDefault(k strictyaml.Key) string {
	if k.Required {
		return "required"
	}
	return cmp.Or(k.Default, "-")
}

// writeKey writes everything about a key, and a line for each key right under it.
func writeKey(w io.Writer, k strictyaml.Key, all []strictyaml.Key) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "key:\t%s\ntype:\t%s\n", k.Path, k.Kind)
	if k.Allowed != "" {
		fmt.Fprintf(table, "allowed:\t%s\n", k.Allowed)
	}
	if describeDefault(k) != "-" {
		fmt.Fprintf(table, "default:\t%s\n", describeDefault(k))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", wrap(k.Doc, 80)); err != nil || len(k.Below) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return writeKeys(w, keysOf(k.Below, all))
}

// keysOf returns the keys with these paths.
func keysOf(paths []string, all []strictyaml.Key) (some []strictyaml.Key) {
	for _, path := range paths {
		for _, k := range all {
			if k.Path == path {
				some = append(some, k)
			}
		}
	}
	return some
}

// suggestKey returns the keys that a wrong one may be meant for: those that end in it,
// or those that are alike.
func suggestKey(typed string, keys []strictyaml.Key) string {
	var paths, ends []string
	for _, k := range keys {
		paths = append(paths, k.Path)
		if strings.HasSuffix(k.Path, "."+typed) {
			ends = append(ends, k.Path)
		}
	}
	if len(ends) > 0 {
		return fmt.Sprintf("; did you mean %s?", joinWords(ends, "or"))
	}
	if text := didYouMean(typed, paths, ""); text != "" {
		return text
	}
	return "; snatlab explain lists all keys"
}

// completeKeys offers the keys.
func completeKeys(c *cobra.Command, args []string, typed string) (keys []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, k := range scenario.Keys() {
		if !isFull(c, args) && strings.HasPrefix(k.Path, typed) {
			keys = append(keys, cobra.CompletionWithDesc(k.Path, k.Kind))
		}
	}
	return keys, cobra.ShellCompDirectiveNoFileComp
}

// wrap breaks text into lines of at most width characters.
func wrap(text string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(append(lines, line), "\n")
}
