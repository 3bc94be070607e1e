package transaction

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/google/nftables"
)

// Snatlab writes to tables of its own only. It makes and deletes them whole.

// TableName returns the table's name as an argument of the nft program.
func TableName(t *nftables.Table) string { return "table " + FamilyName(t.Family) + " " + t.Name }

// CheckNoTable returns an error if there is a table of the same family and name.
func CheckNoTable(ctx context.Context, table *nftables.Table) error {
	c, err := Open(ctx)
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(table.Family)
	if err != nil {
		return Tables.In(table.Family).Explain(KernelError(err))
	}
	for _, t := range tables {
		if t.Name == table.Name {
			return fmt.Errorf("%[1]s exists already (if no program uses it: nft delete %[1]s)", TableName(table))
		}
	}
	return nil
}

// Step is a transaction and the part of the kernel that it needs.
type Step struct {
	Needs Part
	Queue func(*nftables.Conn)
}

// Apply sends one transaction after the other. The kernel does not name the
// part that it lacks, so each transaction needs one part only.
func Apply(ctx context.Context, steps []Step) error {
	for _, s := range steps {
		if err := Send(ctx, s.Queue); err != nil {
			return s.Needs.Explain(err)
		}
	}
	return nil
}

// DeleteTable deletes a table with everything in it. A table that does not exist
// is no error.
func DeleteTable(ctx context.Context, t *nftables.Table) error {
	err := Send(ctx, func(c *nftables.Conn) { c.DelTable(t) })
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}
