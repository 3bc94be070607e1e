package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command names a missing or surplus argument.
func TestArgumentsOfCommands(t *testing.T) {
	everyCommand(rootCommand(), func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) { checkArgumentCount(t, c) })
	})
}

func checkArgumentCount(t *testing.T, c *cobra.Command) {
	var args []string
	for _, a := range argumentsOf(c) {
		if a.repeated {
			return
		}
		args = append(args, a.name)
	}
	err := c.Args(c, append(args, "surplus"))
	if err == nil || !strings.Contains(err.Error(), `"surplus"`) || codeOf(err) != exitUsage {
		t.Errorf("one argument too many: %v", err)
	}
	for i, a := range argumentsOf(c) {
		if a.optional {
			return
		}
		if err := c.Args(c, args[:i]); err == nil || !strings.Contains(err.Error(), a.name) || codeOf(err) != exitUsage {
			t.Errorf("without %s: %v", a.name, err)
		}
	}
}

func TestArgumentsOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ use, want string }{
		{"version", "[]"},
		{"compare OLD NEW", "[{OLD false false} {NEW false false}]"},
		{"history [SCENARIO]", "[{SCENARIO true false}]"},
		{"nightly [SCENARIO...]", "[{SCENARIO true true}]"},
		{"matrix SCENARIO --kernel SPEC...", "[{SCENARIO false false}]"},
	} {
		if got := fmt.Sprint(argumentsOf(&cobra.Command{Use: c.use})); got != c.want {
			t.Errorf("arguments of %q: %s, want %s", c.use, got, c.want)
		}
	}
}
