package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
)

// NATTable and Postrouting are where iptables has its masquerade rules.
const (
	NATTable    = "nat"
	Postrouting = "POSTROUTING"
)

// FilterTable and UserChain are where Docker leaves room for rules of other
// programs.
const (
	FilterTable = "filter"
	UserChain   = "DOCKER-USER"
)

// chainName is a chain of a table.
type chainName struct{ table, chain string }

// dockerChains are chains that every engine makes with its first rule.
var dockerChains = []chainName{{NATTable, "DOCKER"}, {FilterTable, UserChain}}

// newerChains are the version since which an engine puts rules for each network into other
// chains of the table filter (setupIPChains of moby; daemon/libnetwork/... since 29).
const newerChains = 28

// chainsOf returns the chains that an engine of this version needs for a new network. If one
// of them is gone, the engine makes a network half-way (package halfmade). Of a version that
// is not known only those of every engine are needed.
func chainsOf(engine string) []chainName {
	major, _, _ := strings.Cut(engine, ".")
	n, err := strconv.Atoi(major)
	names := []string{"DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"}
	switch {
	case err != nil:
		return dockerChains
	case n >= newerChains:
		names = []string{"DOCKER", "DOCKER-FORWARD", "DOCKER-BRIDGE", "DOCKER-CT"}
	}
	all := slices.Clone(dockerChains)
	for _, name := range names {
		all = append(all, chainName{FilterTable, name})
	}
	return all
}

// DockerChains returns which of the chains that an engine needs exist here, and which do
// not: "DOCKER of table nat". The version is that of the engine.
func (p *Program) DockerChains(engine string) (found, missing []string, err error) {
	for _, c := range chainsOf(engine) {
		name := c.chain + " of table " + c.table
		exists, err := p.HasChain(c.table, c.chain)
		if err != nil {
			return nil, nil, err
		}
		if exists {
			found = append(found, name)
		} else {
			missing = append(missing, name)
		}
	}
	return found, missing, nil
}

// HasChain reports whether a chain exists, and creates nothing. iptables-nft
// answers the same for a chain that it cannot list and for one that does not
// exist (1.8.9), so the kernel is asked as well.
func (p *Program) HasChain(table, chain string) (bool, error) {
	if p.LacksTable(table) {
		return false, nil
	}
	exists, err := p.ipt.ChainExists(table, chain)
	if err != nil {
		return false, fmt.Errorf("look for chain %s with %s: %w", chain, p.Path, trimmedError{err})
	}
	if !exists && p.Variant == "nft" && p.kernelHasChain(table, chain) {
		return false, fmt.Errorf("list %s of table %s with %s: %w", chain, table, p.Path, errIncompatible)
	}
	return exists, nil
}

// errIncompatible is the error of a chain that iptables-nft takes for missing.
var errIncompatible = errors.New("it is incompatible: it holds a rule that iptables cannot express")

// IsIncompatible reports whether a chain could not be listed because the nft
// program has written a rule there that iptables cannot express. The iptables
// program itself reports this only in words: "chain ... is incompatible, use
// 'nft' tool".
func IsIncompatible(err error) bool {
	return errors.Is(err, errIncompatible) || strings.Contains(strings.ToLower(err.Error()), "is incompatible")
}

// kernelHasChain reports whether a table of the program's family has a chain, as the
// kernel lists it. A table that cannot be read counts as one without it.
func (p *Program) kernelHasChain(table, chain string) bool {
	c, err := nftables.New()
	if err != nil {
		return false
	}
	found, err := c.ListChain(&nftables.Table{Name: table, Family: p.Family.TableFamily()}, chain)
	return err == nil && found != nil
}

// trimmedError is the error of a program whose output ends with a line end.
type trimmedError struct{ error }

func (e trimmedError) Error() string { return strings.TrimSpace(e.error.Error()) }
func (e trimmedError) Unwrap() error { return e.error }

// ReadChains returns an error if a chain that a run on Docker reads cannot be
// listed. A chain can exist and not be listed: iptables-nft cannot list a chain
// in which the nft program has written a rule that iptables cannot express.
func (p *Program) ReadChains(ctx context.Context) error {
	if _, err := p.ListRules(ctx, NATTable, Postrouting); err != nil {
		return err
	}
	_, err := p.ListRules(ctx, FilterTable, UserChain)
	return err
}

// HasUnseenLegacy reports whether the legacy variant of a family has a nat table here that
// none of these programs can list.
func HasUnseenLegacy(f Family, installed []*Program) bool {
	for _, p := range installed {
		if p.Variant == "legacy" {
			return false
		}
	}
	return HasLegacyTable(f, NATTable)
}
