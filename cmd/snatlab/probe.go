package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"snatlab/harness/lab/router"
	"snatlab/harness/probe"
	"snatlab/harness/probe/agent"
)

// probeCommand returns the command that runs inside the clients and the server of a lab,
// and on a node of Kubernetes.
func probeCommand() *cobra.Command {
	var guests []string
	var attached bool
	var root string
	c := &cobra.Command{
		Use:       "probe client|server|router",
		Short:     "Run as a client or the server of a lab, or where connections are translated, driven over standard input",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{probe.RoleClient, probe.RoleServer, probe.RoleRouter},
		RunE: func(c *cobra.Command, args []string) error {
			networks, err := parseNetworks(guests)
			switch {
			case err != nil:
				return usageError{c, fmt.Errorf("--from: %w", err)}
			case args[0] == probe.RoleRouter:
				return router.ServeStdio(root)
			}
			return agent.ServeStdio(agent.Agent{Role: args[0], Guests: networks, Attached: attached})
		},
	}
	c.Flags().StringSliceVar(&guests, "from", nil, "networks that clients of a server connect from")
	c.Flags().BoolVar(&attached, "attached", false, "say hello when the controller has greeted")
	c.Flags().StringVar(&root, "root", "", "where the file system of the machine is mounted")
	return c
}
