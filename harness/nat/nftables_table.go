package nat

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/google/nftables"
)

// What we write to nftables stands in tables of our own, made whole and deleted
// whole.

// called is the table's name, as the nft program takes it.
func called(t *nftables.Table) string { return "table ip " + t.Name }

// vacant looks that there is no table of such a name.
func (n nft) vacant(ctx context.Context, isOurs func(name string) bool) error {
	c, err := n.dial(ctx)
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return partTables.missing(bare(err))
	}
	for _, t := range tables {
		if isOurs(t.Name) {
			return fmt.Errorf("%[1]s is there already (if it is nobody's: nft delete %[1]s)", called(t))
		}
	}
	return nil
}

// nftStep is a part of the kernel, and a transaction that needs it.
type nftStep struct {
	needs part
	queue func(*nftables.Conn)
}

// build makes one thing after the other: of what the kernel lacks, it says no
// more than that something is not there.
func (n nft) build(ctx context.Context, steps []nftStep) error {
	for _, s := range steps {
		if err := n.commit(ctx, s.queue); err != nil {
			return s.needs.missing(err)
		}
	}
	return nil
}

// drop deletes a table with all that is in it. One that is gone is no error.
func (n nft) drop(ctx context.Context, t *nftables.Table) error {
	err := n.commit(ctx, func(c *nftables.Conn) { c.DelTable(t) })
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}
