package nftables

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/google/nftables"
)

// Snatlab writes to tables of its own only. It makes and deletes them whole.

// tableName returns the table's name as an argument of the nft program.
func tableName(t *nftables.Table) string { return "table ip " + t.Name }

// checkNoTable returns an error if a table of the family ip has one of the
// names.
func checkNoTable(ctx context.Context, isOurs func(name string) bool) error {
	c, err := newConn(ctx)
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return tablesPart.explainError(kernelError(err))
	}
	for _, t := range tables {
		if isOurs(t.Name) {
			return fmt.Errorf("%[1]s exists already (if no program uses it: nft delete %[1]s)", tableName(t))
		}
	}
	return nil
}

// kernelStep is a transaction and the part of the kernel that it needs.
type kernelStep struct {
	needs kernelPart
	queue func(*nftables.Conn)
}

// applySteps sends one transaction after the other. The kernel does not name the
// part that it lacks, so each transaction needs one part only.
func applySteps(ctx context.Context, steps []kernelStep) error {
	for _, s := range steps {
		if err := sendTransaction(ctx, s.queue); err != nil {
			return s.needs.explainError(err)
		}
	}
	return nil
}

// deleteTable deletes a table with everything in it. A table that does not exist
// is no error.
func deleteTable(ctx context.Context, t *nftables.Table) error {
	err := sendTransaction(ctx, func(c *nftables.Conn) { c.DelTable(t) })
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}
