package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/probe/agent"
	"snatlab/harness/scenario"
)

func serveCommand() *cobra.Command {
	var address string
	var ports int
	var from []string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve runs on other machines",
		Long: `Serve runs on other machines. Their scenarios name this machine as the server:

  server: {address: THIS_MACHINE:20000}

The port of --listen accepts the orders of one run at a time. Clients connect to
the ports after it: one for the control of all trials of a lockstep scenario, and
one for each trial. Everyone who can reach the first port can
open and close the others, and do nothing else: listen on the address of a network
that you trust. Connections are accepted from the address that the orders come
from, and from the addresses of labs; others are reset. If the other machine has
several addresses, give its networks with --from.

A second run waits up to 5 s for the first to end. Then it is told that the server
is busy, and with which run. The server disconnects a peer that does not greet
within 10 s, and a run that sends no order for 2 min. A run greets every 20 s while
its clients send.`,
		Example: `  snatlab serve --listen 192.0.2.10:20000`,
		RunE: func(c *cobra.Command, _ []string) error {
			listen, err := netip.ParseAddrPort(address)
			if err != nil || !listen.Addr().Is4() {
				return usageError{c, fmt.Errorf("--listen %q is not an IPv4 address with a port", address)}
			}
			if ports < 1 || int(listen.Port())+ports > 65535 {
				return usageError{c, fmt.Errorf("--ports %d: allowed: 1 to %d after port %d", ports, 65535-int(listen.Port()), listen.Port())}
			}
			guests, err := parseNetworks(from)
			if err != nil {
				return usageError{c, fmt.Errorf("--from: %w", err)}
			}
			return runInterruptible(func(ctx context.Context) error { return serveRuns(ctx, listen, ports, guests) })
		},
	}
	c.Flags().StringVar(&address, "listen", "0.0.0.0:20000", "address and port that accept the orders")
	c.Flags().IntVar(&ports, "ports", 512, "number of ports after that port, for the clients")
	c.Flags().StringSliceVar(&from, "from", nil, "networks that clients connect from, instead of those above")
	return c
}

// parseNetworks parses the networks of --from.
func parseNetworks(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network like 192.0.2.0/24", text)
		}
		all = append(all, p)
	}
	return all, nil
}

// serveRuns serves one run after the other, until it is interrupted.
func serveRuns(ctx context.Context, address netip.AddrPort, ports int, guests []netip.Prefix) error {
	listener, err := (&net.ListenConfig{KeepAliveConfig: agent.KeepAlive}).Listen(ctx, "tcp4", address.String())
	if err != nil {
		return err
	}
	first := address.Port() + 1
	server := agent.RunServer{
		Address: address.Addr(), Guests: guests,
		Ports: scenario.PortRange{First: first, Last: first + uint16(ports) - 1},
		Log:   func(what string) { fmt.Printf("%s  %s\n", time.Now().Format(time.DateTime), what) },
	}
	fmt.Printf("serving on %v: clients connect to ports %d to %d\n", address, server.Ports.First, server.Ports.Last)
	return server.Serve(ctx, listener)
}
