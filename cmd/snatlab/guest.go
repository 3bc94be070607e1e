package main

import (
	"context"

	"github.com/spf13/cobra"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// guestCommand returns the command of init in the guests of `snatlab matrix`.
func guestCommand() *cobra.Command {
	return &cobra.Command{
		Use:    matrix.GuestCommand,
		Short:  "Run as init in a guest of snatlab matrix",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return matrix.RunGuest(runInGuest) },
	}
}

// runInGuest runs a scenario like `snatlab run`, without a command line and files.
func runInGuest(ctx context.Context, s *scenario.Scenario, watch matrix.RunWatcher) (*result.Result, error) {
	ready, err := prepareMachine(ctx, s, clusterFlags{})
	if err != nil {
		return nil, err
	}
	defer ready.close()
	return ready.runScenario(ctx, s, watch, result.CommandMatrix)
}
