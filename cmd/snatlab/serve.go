package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/probe"
)

func serveCommand() *cobra.Command {
	var address string
	var ports int
	c := &cobra.Command{
		Use:   "serve",
		Short: "Be the server of runs on other machines",
		Long: `Be the server of runs on other machines: scenarios there say

  server: {address: THIS_MACHINE:20000}

The port given takes the orders of one run at a time; the ports after it are
those that clients connect to, one for each trial. Anyone who reaches the port
can have the others opened and closed, and nothing else: listen on the address
of a network you trust.`,
		Example: `  snatlab serve --listen 192.0.2.10:20000`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			listen, err := netip.ParseAddrPort(address)
			if err != nil || !listen.Addr().Is4() {
				return usageError{c, fmt.Errorf("--listen %q is not an IPv4 address with a port", address)}
			}
			if ports < 1 || int(listen.Port())+ports > 65535 {
				return usageError{c, fmt.Errorf("--ports %d: allowed: 1 to %d after port %d", ports, 65535-int(listen.Port()), listen.Port())}
			}
			return interruptible(func(ctx context.Context) error { return serve(ctx, listen, ports) })
		},
	}
	c.Flags().StringVar(&address, "listen", "0.0.0.0:20000", "address and port that take the orders")
	c.Flags().IntVar(&ports, "ports", 64, "number of ports after it that clients connect to")
	return c
}

// serve takes the orders of one run after the other, until it is interrupted.
func serve(ctx context.Context, address netip.AddrPort, ports int) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", address.String())
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	first := address.Port() + 1
	agent := probe.Agent{Role: probe.RoleServer, Address: address.Addr(), Ports: &probe.Ports{First: first, Last: first + uint16(ports) - 1}}
	fmt.Printf("serving on %v: clients connect to ports %d to %d\n", address, agent.Ports.First, agent.Ports.Last)
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		fmt.Printf("%s  run of %v\n", time.Now().Format(time.DateTime), conn.RemoteAddr())
		release := context.AfterFunc(ctx, func() { conn.Close() })
		if err := agent.Serve(conn, conn); err != nil && !errors.Is(err, net.ErrClosed) {
			fmt.Printf("%s  %v\n", time.Now().Format(time.DateTime), err)
		}
		release()
		conn.Close()
	}
}
