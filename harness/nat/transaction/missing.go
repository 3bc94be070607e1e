package transaction

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/google/nftables"
)

// MissingError reports that the kernel probably lacks a part of nftables.
type MissingError struct {
	Module string // "nft_masq"
	Config string // the build option of the kernel: "CONFIG_NFT_MASQ"
	Err    error  // the kernel's answer
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%v (does this kernel have %s? %s)", e.Err, e.Module, e.Config)
}

func (e *MissingError) Unwrap() error { return e.Err }

// Part is a part of nftables that a kernel can lack, because it can be a
// module of its own.
type Part struct{ Module, Config string }

var (
	Tables       = Part{"nf_tables", "CONFIG_NF_TABLES"}
	NATChains    = Part{"nft_chain_nat", "CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV4"}
	Counter      = Part{"nft_counter", "CONFIG_NFT_COUNTER; since 5.17 it is in nf_tables"}
	Masquerade   = Part{"nft_masq", "CONFIG_NFT_MASQ"}
	Numgen       = Part{"nft_numgen", "CONFIG_NFT_NUMGEN"}
	NAT          = Part{"nft_nat", "CONFIG_NFT_NAT"}
	FilterChains = Part{"nf_tables_ipv4", "CONFIG_NF_TABLES_IPV4"}
	Conntrack    = Part{"nft_ct", "CONFIG_NFT_CT"}
)

// In returns the part as tables of a family need it.
func (p Part) In(f nftables.TableFamily) Part {
	if f != nftables.TableFamilyIPv6 {
		return p
	}
	switch p {
	case Tables:
		p.Config += " and CONFIG_NF_TABLES_IPV6"
	case NATChains:
		p.Config = "CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV6"
	case FilterChains:
		p = Part{"nf_tables_ipv6", "CONFIG_NF_TABLES_IPV6"}
	}
	return p
}

// Explain returns the kernel's answer as a [MissingError] if a kernel
// without this part answers so.
func (p Part) Explain(err error) error {
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.ENOENT, // an expression, or a type of chain
		syscall.EINVAL, syscall.EOPNOTSUPP, // all of nf_tables: for a look, for a transaction
		syscall.EPROTONOSUPPORT, // nfnetlink
		syscall.EAFNOSUPPORT:    // the table's family
		return &MissingError{Module: p.Module, Config: p.Config, Err: err}
	case syscall.EPERM:
		return fmt.Errorf("%w (run as root)", err)
	}
	return err
}
