package main

import (
	"github.com/spf13/cobra"

	"snatlab/scenarios"
)

// readyScenarios are the ready scenarios.
var readyScenarios = shelf{
	names: scenarios.Names, read: scenarios.Read, describe: scenarios.Question, kind: "ready scenario",
	after: "\nTo run one: snatlab run NAME. To begin with one: snatlab scenarios NAME > mine.yaml\n",
}

func scenariosCommand() *cobra.Command {
	return shelfCommand(readyScenarios, &cobra.Command{
		Use:   "scenarios [NAME]",
		Short: "List the ready scenarios, or print one",
		Long: `List the ready scenarios, or print one. They are inside the program: their names
are accepted where a command reads a scenario, unless there is a file of that name.

Exit codes: 0 done; 2 there is no such scenario.`,
		Example: `  snatlab scenarios
  snatlab scenarios mitigations > mine.yaml`,
	})
}
