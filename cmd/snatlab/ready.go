package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"snatlab/harness/lab/netns"
	"snatlab/harness/scenario"
	"snatlab/scenarios"
)

// The ready scenarios are in the program. A command that reads a scenario accepts their
// names where it accepts a path.

// findScenario returns the scenario in the file at path. If there is no such file, path
// may be the name of a ready scenario.
func findScenario(path string) (*scenario.Scenario, error) {
	text, ready := scenarios.Read(path)
	switch info, err := os.Stat(path); {
	case ready && (err != nil || info.IsDir()): // a folder of this name is often that of results
		return scenario.Parse(path, text)
	case ready && !netns.IsReexecuted(): // otherwise the first process has said it
		fmt.Fprintf(os.Stderr, "%s is a file in this folder, and it is used. The ready scenario of this name: snatlab scenarios %[1]s\n", path)
	case path == "-":
		return nil, errors.New("- is standard input, which only snatlab plan reads: write the scenario to a file")
	}
	s, err := scenario.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w%s", err, suggestReady(path))
	}
	return s, err
}

// suggestReady returns the end of an error about a file that does not exist.
func suggestReady(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), ".yaml")
	alike := findSimilar(name, scenarios.Names())
	if len(alike) == 0 {
		return " (snatlab scenarios lists the ready ones, snatlab init writes a first one)"
	}
	return fmt.Sprintf("; did you mean the ready scenario %s?", joinWords(alike, "or"))
}

// completeScenarios offers the ready scenarios, and the files and folders beside which
// they may be typed. If no ready scenario matches, the shell offers files.
func completeScenarios(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if isFull(c, args) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := withPrefix(scenarios.Names(), typed)
	if len(names) == 0 {
		return completeFiles("yaml")(c, args, typed)
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, file := range withPrefix(listFiles("."), typed) {
		if strings.HasSuffix(file, "/") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		names = append(names, file)
	}
	return slices.Compact(names), directive
}

// listFiles returns the YAML files and the folders in a folder, the folders with a slash
// at the end. A name that is not typable is left out.
func listFiles(dir string) (names []string) {
	entries, _ := os.ReadDir(dir) // a folder that cannot be read offers nothing
	for _, e := range entries {
		switch name := e.Name(); {
		case !typable.MatchString(name):
		case e.IsDir():
			names = append(names, name+"/")
		case filepath.Ext(name) == ".yaml":
			names = append(names, name)
		}
	}
	return names
}

// withPrefix returns the names that begin with typed.
func withPrefix(names []string, typed string) (matching []string) {
	for _, name := range names {
		if strings.HasPrefix(name, typed) {
			matching = append(matching, name)
		}
	}
	return matching
}
