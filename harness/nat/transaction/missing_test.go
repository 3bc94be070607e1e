package transaction

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
)

// The error names the part that the kernel lacks.
func TestMissingError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part Part
		err  error
		want string
	}{
		{Tables, syscall.EINVAL, "invalid argument (does this kernel have nf_tables? CONFIG_NF_TABLES)"},
		{Tables, syscall.EPROTONOSUPPORT, "protocol not supported (does this kernel have nf_tables? CONFIG_NF_TABLES)"},
		{Tables, syscall.EOPNOTSUPP, "operation not supported (does this kernel have nf_tables? CONFIG_NF_TABLES)"},
		{NATChains, syscall.ENOENT, "no such file or directory (does this kernel have nft_chain_nat? CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV4)"},
		{Counter, syscall.ENOENT, "no such file or directory (does this kernel have nft_counter? CONFIG_NFT_COUNTER; since 5.17 it is in nf_tables)"},
		{Masquerade, syscall.ENOENT, "no such file or directory (does this kernel have nft_masq? CONFIG_NFT_MASQ)"},
		{Numgen, syscall.ENOENT, "no such file or directory (does this kernel have nft_numgen? CONFIG_NFT_NUMGEN)"},
		{NAT, syscall.ENOENT, "no such file or directory (does this kernel have nft_nat? CONFIG_NFT_NAT)"},
		{FilterChains, syscall.ENOENT, "no such file or directory (does this kernel have nf_tables_ipv4? CONFIG_NF_TABLES_IPV4)"},
		{Tables.In(nftables.TableFamilyIPv6), syscall.EOPNOTSUPP, "operation not supported (does this kernel have nf_tables? CONFIG_NF_TABLES and CONFIG_NF_TABLES_IPV6)"},
		{NATChains.In(nftables.TableFamilyIPv6), syscall.ENOENT, "no such file or directory (does this kernel have nft_chain_nat? CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV6)"},
		{FilterChains.In(nftables.TableFamilyIPv6), syscall.ENOENT, "no such file or directory (does this kernel have nf_tables_ipv6? CONFIG_NF_TABLES_IPV6)"},
		{NATChains.In(nftables.TableFamilyIPv4), syscall.ENOENT, "no such file or directory (does this kernel have nft_chain_nat? CONFIG_NFT_NAT and CONFIG_NF_TABLES_IPV4)"},
		{Masquerade.In(nftables.TableFamilyIPv6), syscall.ENOENT, "no such file or directory (does this kernel have nft_masq? CONFIG_NFT_MASQ)"},
		{Conntrack, syscall.ENOENT, "no such file or directory (does this kernel have nft_ct? CONFIG_NFT_CT)"},
		{Masquerade, syscall.EPERM, "operation not permitted (run as root)"},
		{Masquerade, syscall.ENOMEM, "cannot allocate memory"},
	} {
		err := c.part.Explain(c.err)
		if err.Error() != c.want || !errors.Is(err, c.err) {
			t.Errorf("error %v\nwant  %s", err, c.want)
		}
		m, ok := errors.AsType[*MissingError](fmt.Errorf("make: %w", err))
		if want := strings.Contains(c.want, "?"); ok != want || ok && m.Module != c.part.Module {
			t.Errorf("%v is a MissingError: %v, want %v", err, ok, want)
		}
	}
}
