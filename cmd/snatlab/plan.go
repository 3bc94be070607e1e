package main

import (
	"os"

	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "plan SCENARIO",
		Short: "Check a scenario and print it with every default filled in",
		Long: `Check a scenario and print it with every default filled in. The output is a
scenario itself. If its rounds are too few for a verdict, a warning is printed on
standard error: such a scenario is valid, but runs only with --force.

Exit codes: 0 the scenario is valid; 2 it is not, and every fault is printed.`,
		Example:           `  snatlab plan scenarios/docker-masquerade.yaml`,
		ValidArgsFunction: completeFiles("yaml"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := readScenario(c, args[0], runFlags{})
			if err != nil {
				return err
			}
			warnOfRounds(os.Stderr, s)
			_, err = os.Stdout.Write(s.Canonical())
			return err
		},
	}
}
