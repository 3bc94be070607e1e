package nat

import (
	"context"
	"fmt"
	"strings"

	"snatlab/harness/nat/nftables"
)

// The chains by which Docker's rules are known.
var dockerChains = []struct{ table, chain string }{{table, "DOCKER"}, {"filter", UserChain}}

// HasDocker reports whether Docker keeps its rules in this variant.
func (t *Tables) HasDocker() (bool, error) {
	_, missing, err := t.DockerChains()
	return err == nil && missing == nil, err
}

// DockerChains looks for the chains that Docker makes: "DOCKER of table nat".
func (t *Tables) DockerChains() (found, missing []string, err error) {
	for _, c := range dockerChains {
		name := c.chain + " of table " + c.table
		there, err := t.hasChain(c.table, c.chain)
		if err != nil {
			return nil, nil, err
		}
		if there {
			found = append(found, name)
		} else {
			missing = append(missing, name)
		}
	}
	return found, missing, nil
}

// hasChain looks for a chain, and creates nothing. iptables-nft says of a chain
// that it cannot list what it says of one that is not there (1.8.9), so the
// kernel is asked.
func (t *Tables) hasChain(table, chain string) (bool, error) {
	if t.lacks(table) {
		return false, nil
	}
	there, err := t.ipt.ChainExists(table, chain)
	if err != nil {
		return false, fmt.Errorf("look for chain %s with %s: %w", chain, t.Path, trimmed{err})
	}
	if !there && t.Variant == "nft" && nftables.HasChain(table, chain) {
		return false, fmt.Errorf("list %s of table %s with %s: it is incompatible: it holds what iptables has no words for", chain, table, t.Path)
	}
	return there, nil
}

// trimmed is the error of a program that ends its words with a line end.
type trimmed struct{ error }

func (e trimmed) Error() string { return strings.TrimSpace(e.error.Error()) }
func (e trimmed) Unwrap() error { return e.error }

// ReadChains reads the chains that a run on Docker reads. A chain can exist and
// not be listed: iptables-nft cannot list one in which the nft program has
// written a rule that iptables has no words for.
func (t *Tables) ReadChains(ctx context.Context) error {
	if _, err := t.read(ctx); err != nil {
		return err
	}
	_, err := t.list(ctx, "filter", UserChain)
	return err
}

// LegacyUnseen reports that the legacy variant has a nat table here, and that
// none of these programs can list it.
func LegacyUnseen(installed []*Tables) bool {
	for _, t := range installed {
		if t.Variant == "legacy" {
			return false
		}
	}
	return legacyTableExists(table)
}
