package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"snatlab/harness/probe"
)

// probeCommand is what runs inside the clients and the server of a lab.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "probe client|server",
		Short:     "Be a client or the server of a lab, driven over standard input",
		Hidden:    true,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{probe.RoleClient, probe.RoleServer},
		RunE: func(_ *cobra.Command, args []string) error {
			agent := probe.Agent{Role: args[0]}
			return agent.Serve(untilEOF(os.Stdin), os.Stdout)
		},
	}
}

// untilEOF passes a stream on, and ends the program with it, whatever the
// program is doing then: a probe does not outlive its controller.
func untilEOF(in io.Reader) io.Reader {
	passed, w := io.Pipe()
	go func() {
		if _, err := io.Copy(w, in); err != nil {
			os.Exit(exitUnable)
		}
		os.Exit(exitPass)
	}()
	return passed
}
