package main

import (
	"context"

	"github.com/spf13/cobra"

	"snatlab/harness/conntrack"
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

// runInGuest runs a scenario like `snatlab run`, without a command line and files. The
// machine is the guest's own, and so is its conntrack table, which ends with it.
func runInGuest(ctx context.Context, s *scenario.Scenario, watch matrix.RunWatcher) (*result.Result, error) {
	ready, err := prepareNetns(ctx, s)
	if err != nil {
		return nil, err
	}
	defer ready.close()
	if most := s.Lab.ConntrackMax; most > 0 {
		if err := conntrack.SetMax(most); err != nil {
			return nil, err
		}
	}
	return ready.runScenario(ctx, s, watch, result.CommandMatrix)
}
