package main

import (
	"github.com/spf13/cobra"

	"snatlab/harness/probe"
	"snatlab/harness/probe/agent"
)

// probeCommand returns the command that runs inside the clients and the server of a lab.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "probe client|server",
		Short:     "Run as a client or the server of a lab, driven over standard input",
		Hidden:    true,
		Args:      cobra.OnlyValidArgs,
		ValidArgs: []string{probe.RoleClient, probe.RoleServer},
		RunE: func(_ *cobra.Command, args []string) error {
			return agent.ServeStdio(args[0])
		},
	}
}
