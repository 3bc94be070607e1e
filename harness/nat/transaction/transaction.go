// Package transaction sends transactions of nftables to the kernel, in the network namespace
// of the calling thread, and says which part of nftables a kernel lacks.
package transaction

import (
	"context"
	"errors"
	"syscall"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Open returns a connection of google/nftables to the calling thread's
// namespace. The context's deadline bounds how long it waits.
func Open(ctx context.Context) (*nftables.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error { return setDeadline(ctx, c) }))
}

// Dial opens a socket for messages that google/nftables cannot write or
// read.
func Dial(ctx context.Context) (*netlink.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	if err := setDeadline(ctx, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func setDeadline(ctx context.Context, c *netlink.Conn) error {
	deadline, _ := ctx.Deadline() // zero: none
	return c.SetDeadline(deadline)
}

// Send sends what queue adds to a connection, in one transaction.
func Send(ctx context.Context, queue func(*nftables.Conn)) error {
	c, err := Open(ctx)
	if err != nil {
		return err
	}
	queue(c)
	return KernelError(c.Flush())
}

// KernelError returns the kernel's error number without the libraries' words
// around it. An error without a number is returned as it is.
func KernelError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
