package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/lab"
	"snatlab/harness/lab/docker"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that a run needs of this machine",
		Long: `Look at everything that a run needs of this machine, one line each, with what to
do where it is missing. Nothing is changed.

Exit codes: 0 a run is possible; 3 it is not.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return interruptible(func(ctx context.Context) error { return doctor(ctx, os.Stdout) })
		},
	}
}

func doctor(ctx context.Context, w io.Writer) error {
	host, found := docker.Preflight(ctx, "", 0)
	defer host.Close()
	for _, p := range found {
		state := p.State.String()
		if p.State == lab.Unmet && p.Advisory {
			state = "poor"
		}
		fmt.Fprintf(w, "%-8s %-17s %s\n", state, p.Name, p.Found)
		if p.State == lab.Unmet {
			fmt.Fprintf(w, "%-26s -> %s\n", "", p.Remedy)
		}
	}
	if lab.Missing(found) != nil {
		return exitCode(exitUnable)
	}
	return nil
}
