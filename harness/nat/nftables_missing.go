package nat

import (
	"errors"
	"fmt"
	"syscall"
)

// MissingError says that the kernel answers as one does that lacks a part of
// nftables.
type MissingError struct {
	Module string // "nft_masq"
	Config string // the option that the kernel is built with: "CONFIG_NFT_MASQ"
	Err    error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%v (does this kernel have %s? %s)", e.Err, e.Module, e.Config)
}

func (e *MissingError) Unwrap() error { return e.Err }

// part is a part of nftables that can be missing, since it can be a module of
// its own.
type part struct{ module, config string }

var (
	partTables  = part{"nf_tables", "CONFIG_NF_TABLES"}
	partChain   = part{"nft_chain_nat", "CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV4"}
	partCounter = part{"nft_counter", "CONFIG_NFT_COUNTER; since 5.17 it is in nf_tables"}
	partMasq    = part{"nft_masq", "CONFIG_NFT_MASQ"}
	partNAT     = part{"nft_nat", "CONFIG_NFT_NAT"}
	partFilter  = part{"nf_tables_ipv4", "CONFIG_NF_TABLES_IPV4"}
	partCT      = part{"nft_ct", "CONFIG_NFT_CT"}
)

// missing tells by the kernel's answer whether this part may be what it lacks.
func (p part) missing(err error) error {
	errno, _ := errors.AsType[syscall.Errno](err)
	switch errno {
	case syscall.ENOENT, // an expression, or a type of chain
		syscall.EINVAL, syscall.EOPNOTSUPP, // all of nf_tables: for a look, for a transaction
		syscall.EPROTONOSUPPORT, // nfnetlink
		syscall.EAFNOSUPPORT:    // the family ip
		return &MissingError{Module: p.module, Config: p.config, Err: err}
	case syscall.EPERM:
		return fmt.Errorf("%w (run as root)", err)
	}
	return err
}
