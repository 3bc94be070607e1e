package docker

import (
	"context"
	"fmt"
	"net/netip"

	"snatlab/harness/lab/docker/claims"
)

// Addresses are taken if this host has them or a route to them, or if a network of
// Docker's has them. A lab uses no taken address, neither for its networks nor for
// arms that translate to addresses.

// listClaims lists the taken ranges, the closest description of an address first.
func (h *Host) listClaims(ctx context.Context) ([]claims.Claim, error) {
	return claims.List(ctx, h.docker, h.engineName())
}

// checkAddresses returns an error if one of the addresses is taken. If this host got
// the address of a running container, that container would be cut off.
func (h *Host) checkAddresses(ctx context.Context, wanted []netip.Addr) error {
	if len(wanted) == 0 {
		return nil
	}
	taken, err := h.listClaims(ctx)
	if err != nil {
		return fmt.Errorf("check the addresses that an arm translates to: %w", err)
	}
	for _, a := range wanted {
		for _, t := range taken {
			if t.Prefix.Contains(a) {
				return fmt.Errorf("translate to %v: %s (choose addresses that are free, see `docker network ls`, `ip address` and `ip route show table all`)", a, t.By())
			}
		}
	}
	return nil
}
