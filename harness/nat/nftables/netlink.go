package nftables

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// newConn returns a connection of google/nftables to the calling thread's
// namespace. The context's deadline bounds how long it waits.
func newConn(ctx context.Context) (*nftables.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error { return setDeadline(ctx, c) }))
}

// dialNetlink opens a socket for messages that google/nftables cannot write or
// read.
func dialNetlink(ctx context.Context) (*netlink.Conn, error) {
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

// sendTransaction sends what queue adds to a connection, in one transaction.
func sendTransaction(ctx context.Context, queue func(*nftables.Conn)) error {
	c, err := newConn(ctx)
	if err != nil {
		return err
	}
	queue(c)
	return kernelError(c.Flush())
}

// kernelError returns the kernel's error number without the libraries' words
// around it. An error without a number is returned as it is.
func kernelError(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// headerLength is the length of struct nfgenmsg, which precedes the attributes.
const headerLength = 4

// messageHeader returns a struct nfgenmsg.
func messageHeader(family byte, resource uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
}
