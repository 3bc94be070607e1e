package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"snatlab/harness/probe"
	"snatlab/harness/scenario"
)

func serveCommand() *cobra.Command {
	var address string
	var ports int
	var from []string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Be the server of runs on other machines",
		Long: `Be the server of runs on other machines: scenarios there say

  server: {address: THIS_MACHINE:20000}

The port given takes the orders of one run at a time; the ports after it are
those that clients connect to, one for each trial. Anyone who reaches the port
can have the others opened and closed, and nothing else: listen on the address
of a network you trust. Connections are accepted from the address that the
run's orders come from and from those that labs give themselves, and from
--from instead where that machine leaves by several; others are reset.`,
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
			guests, err := prefixes(from)
			if err != nil {
				return usageError{c, fmt.Errorf("--from: %w", err)}
			}
			return interruptible(func(ctx context.Context) error { return serve(ctx, listen, ports, guests) })
		},
	}
	c.Flags().StringVar(&address, "listen", "0.0.0.0:20000", "address and port that take the orders")
	c.Flags().IntVar(&ports, "ports", 64, "number of ports after it that clients connect to")
	c.Flags().StringSliceVar(&from, "from", nil, "networks that clients connect from (default: as above)")
	return c
}

func prefixes(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// Bounds of what one peer can keep the others waiting for. A controller greets
// at once, and waits 20 s for the server that is busy with another.
const (
	greetTime = 10 * time.Second // for a peer to say that it is a controller
	tellTime  = 10 * time.Second // for a peer to take an answer
)

// alive tells within 45 s a peer whose machine is gone: there is no bound on how
// long a controller may be silent while its clients send.
var alive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// serve takes the orders of one run after the other, until it is interrupted.
func serve(ctx context.Context, address netip.AddrPort, ports int, guests []netip.Prefix) error {
	listener, err := (&net.ListenConfig{KeepAliveConfig: alive}).Listen(ctx, "tcp4", address.String())
	if err != nil {
		return err
	}
	first := address.Port() + 1
	agent := probe.Agent{
		Role: probe.RoleServer, Address: address.Addr(), Guests: guests,
		Ports: &probe.Ports{First: first, Last: first + uint16(ports) - 1},
	}
	fmt.Printf("serving on %v: clients connect to ports %d to %d\n", address, agent.Ports.First, agent.Ports.Last)
	return takeOrders(ctx, listener, agent, greetTime)
}

// takeOrders closes the listener.
func takeOrders(ctx context.Context, listener net.Listener, agent probe.Agent, greetTime time.Duration) error {
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		release := context.AfterFunc(ctx, func() { conn.Close() })
		if err := obey(conn, agent, greetTime); err != nil && !errors.Is(err, net.ErrClosed) {
			say("%v: %v", conn.RemoteAddr(), err)
		}
		release()
		conn.Close()
	}
}

// obey takes the orders of one peer until it hangs up.
func obey(conn net.Conn, agent probe.Agent, greetTime time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(greetTime)); err != nil {
		return err
	}
	if agent.Guests == nil {
		peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		agent.Guests = []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen()), scenario.LabAddresses}
	}
	greeted := false
	agent.Greeted = func() {
		if !greeted {
			say("run of %v", conn.RemoteAddr())
		}
		greeted = true
		_ = conn.SetReadDeadline(time.Time{}) // fails where the conversation is over
	}
	err := agent.Serve(conn, answers{conn})
	if errors.Is(err, os.ErrDeadlineExceeded) && !greeted {
		return fmt.Errorf("it did not greet within %v, as a snatlab run does", greetTime)
	}
	return err
}

// answers are written to a peer that may not read them.
type answers struct{ net.Conn }

func (a answers) Write(p []byte) (int, error) {
	if err := a.SetWriteDeadline(time.Now().Add(tellTime)); err != nil {
		return 0, err
	}
	return a.Conn.Write(p)
}

func say(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.DateTime), fmt.Sprintf(format, args...))
}
