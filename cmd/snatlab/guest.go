package main

import (
	"context"

	"github.com/spf13/cobra"

	"snatlab/harness/kernel/matrix"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// guestCommand is what runs as init in the machines of `snatlab matrix`.
func guestCommand() *cobra.Command {
	return &cobra.Command{
		Use:    matrix.GuestCommand,
		Short:  "Be init in a guest of snatlab matrix",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return matrix.RunGuest(runInGuest) },
	}
}

// runInGuest is `snatlab run` without a command line and without files.
func runInGuest(ctx context.Context, s *scenario.Scenario, watch matrix.RunWatcher) (*result.Result, error) {
	site, err := prepareMachine(ctx, s)
	if err != nil {
		return nil, err
	}
	defer site.close()
	return site.run(ctx, s, watch)
}
