package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"snatlab/harness/scenario"
	"snatlab/scenarios"
)

// first is the scenario that `snatlab init` writes, with NAME and SCHEMA to be replaced.
//
//go:embed first.yaml
var first string

// firstName is the name of that scenario if none is given.
const firstName = "my-scenario"

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [NAME]",
		Short: "Write a first scenario, with comments, to NAME.yaml",
		Long: `Write a first scenario, with comments, to NAME.yaml in this folder (default
` + firstName + `). It is valid as it stands, and runs as any user. Beside it the JSON
Schema of a scenario is written to ` + schemaName + `, for editors, unless there
is such a file. No file is replaced.

Exit codes: 0 done; 2 there is such a file, or NAME is not the name of a scenario; 3
a file cannot be written.`,
		Example: `  snatlab init
  snatlab init before-upgrade`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			name := firstName
			if len(args) > 0 {
				name = strings.TrimSuffix(args[0], ".yaml")
			}
			return writeFirst(c, name)
		},
	}
}

// fillFirst returns the first scenario under a name.
func fillFirst(name string) string {
	return strings.NewReplacer("NAME", name, "SCHEMA", schemaName).Replace(first)
}

// writeFirst writes the first scenario and the schema, and says what to do next.
func writeFirst(c *cobra.Command, name string) error {
	if err := scenario.CheckName(name); err != nil {
		return usageError{c, err}
	}
	file := name + ".yaml"
	err := writeNew(file, func(w io.Writer) error { _, err := io.WriteString(w, fillFirst(name)); return err })
	if errors.Is(err, fs.ErrExist) {
		return usageError{c, fmt.Errorf("%s exists already, and is not replaced (give another name)", file)}
	}
	if err != nil {
		return fmt.Errorf("%w (init writes to the folder that it is run in)", err)
	}
	fmt.Printf("%s is a scenario.\n", file)
	switch err := writeNew(schemaName, writeSchema); {
	case err == nil:
		fmt.Printf("%s lets editors complete and check it.\n", schemaName)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if _, ready := scenarios.Read(name); ready {
		fmt.Printf("A ready scenario is also called %s: snatlab run %[1]s runs that one.\n", name)
	}
	return writeNextSteps(os.Stdout, file)
}

// writeNextSteps writes the commands that follow, for a file that was written.
func writeNextSteps(w io.Writer, file string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, `
Next:
  snatlab plan %[1]s	check it, and see what a run does
  snatlab run %[1]s --label before	run it; its result is kept
  snatlab run %[1]s --label after	again, after the machine changed
  snatlab compare before after	compare the two results
  snatlab history runs	list what is kept
  snatlab explain	look up what a scenario may have
  snatlab docs scenario	read all about it
`, file)
	return table.Flush()
}

// writeNew writes a file that must not exist yet. A file that could not be written whole
// is removed.
func writeNew(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
