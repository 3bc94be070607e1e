package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
)

// describeCompletion sets the help of cobra's completion command.
func describeCompletion(c *cobra.Command) {
	c.Short = "Print the script that completes command lines in a shell"
	c.Long = `Print the script that completes command lines of snatlab in a shell: commands,
flags, drivers, scenarios and their keys, and the scenarios, kernels, labels and IDs in
the store.
Only the latest runs of the store are read, for at most a second. The script for
bash requires the package bash-completion.`
	c.Example = `  source <(snatlab completion bash)
  snatlab completion bash > /etc/bash_completion.d/snatlab
  snatlab completion zsh > "${fpath[1]}/_snatlab"
  snatlab completion fish > ~/.config/fish/completions/snatlab.fish`
}

// flagCompletions returns the completions of the values of flags, by the flags' names.
func flagCompletions() map[string]cobra.CompletionFunc {
	folders := func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return map[string]cobra.CompletionFunc{
		"driver":   cobra.FixedCompletions(driverNames, cobra.ShellCompDirectiveNoFileComp),
		"accel":    cobra.FixedCompletions([]string{vm.Auto, vm.KVM, vm.TCG}, cobra.ShellCompDirectiveNoFileComp),
		"scenario": completeStoredScenarios,
		"label": func(c *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeLabels(c, typed), cobra.ShellCompDirectiveNoFileComp
		},
		"store":     folders,
		"out":       folders,
		"scenarios": folders,
		"modules":   folders,
		"man":       folders,
	}
}

// setCompletions sets the completions of flag values for c and the commands under it.
// For a command without arguments it turns off the completion of files.
func setCompletions(c *cobra.Command) {
	offered := flagCompletions()
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		complete := offered[f.Name]
		if kind := f.Value.Type(); kind == "int" || kind == "duration" {
			complete = cobra.NoFileCompletions
		}
		if complete == nil {
			return
		}
		if err := c.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(fmt.Sprintf("completion of %s --%s: %v", c.CommandPath(), f.Name, err)) // the flag exists
		}
	})
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 && len(argumentsOf(c)) == 0 {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		setCompletions(sub)
	}
}

// completeFiles returns a function that offers files with a suffix for each argument
// of the command.
func completeFiles(suffix string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if isFull(c, args) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return []cobra.Completion{suffix}, cobra.ShellCompDirectiveFilterFileExt
	}
}

// isFull reports whether c accepts no more arguments after args.
func isFull(c *cobra.Command, args []string) bool {
	allowed := argumentsOf(c)
	return len(args) >= len(allowed) && !slices.ContainsFunc(allowed, func(a argument) bool { return a.repeated })
}

// completeHistory offers the scenarios in the store.
func completeHistory(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if isFull(c, args) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeStoredScenarios(c, args, typed)
}

func completeStoredScenarios(c *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return listStored(c, typed, func(r result.RunSummary) string { return r.Key.Scenario }), cobra.ShellCompDirectiveNoFileComp
}

// completeReport offers the labels and the latest IDs in the store, and files and folders
// if none matches.
func completeReport(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if isFull(c, args) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids := listStored(c, typed, func(r result.RunSummary) string { return r.ID })
	return append(completeLabels(c, typed), ids[max(0, len(ids)-mostIDs):]...), cobra.ShellCompDirectiveDefault
}

// mostIDs bounds the IDs that are offered: a user who wants another one types its
// beginning.
const mostIDs = 20

// completeLabels offers the labels in the store.
func completeLabels(c *cobra.Command, typed string) []cobra.Completion {
	return listStored(c, typed, func(r result.RunSummary) string { return r.Label })
}

// completeCompare offers the labels and the kernels in the store, and files and folders if
// none matches.
func completeCompare(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if isFull(c, args) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	kernels := listStored(c, typed, func(r result.RunSummary) string { return r.Kernel })
	return append(completeLabels(c, typed), kernels...), cobra.ShellCompDirectiveDefault
}

// The bounds of a search of the store while a user waits at a prompt.
const (
	mostCompleted = 2000
	longCompleted = time.Second
)

// typable matches the names that are offered. A shell puts them on a command line, and
// a result of another user may contain any names.
var typable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}$`)

// listStored returns the names in the store of --store that begin with typed. A store
// that cannot be read has none: a completion cannot print errors.
func listStored(c *cobra.Command, typed string, name func(result.RunSummary) string) (names []cobra.Completion) {
	dir, err := c.Flags().GetString("store")
	if err != nil {
		return nil
	}
	store, err := openStore(dir)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), longCompleted)
	defer cancel()
	for _, run := range store.ListRecent(ctx, mostCompleted) {
		if n := name(run); typable.MatchString(n) && strings.HasPrefix(n, typed) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
