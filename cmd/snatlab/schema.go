package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/scenario"
)

// schemaName is the name under which files of scenarios name their schema.
const schemaName = "scenario.schema.json"

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a scenario, for editors",
		Long: `Print the JSON Schema (draft 2020-12) of a scenario. An editor that uses it
completes keys, explains them, and marks mistakes. Written to a file beside the
scenarios, it is found by a comment in each of them:

  # yaml-language-server: $schema=` + schemaName + `

A schema knows keys, types and bounds, but no rule between fields: snatlab plan
checks everything.`,
		Example: `  snatlab schema > ` + schemaName,
		RunE:    func(*cobra.Command, []string) error { return writeSchema(os.Stdout) },
	}
}

// writeSchema writes the JSON Schema of a scenario.
func writeSchema(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // patterns with ">=" stay readable
	return e.Encode(scenario.Schema())
}
