package transaction

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
)

// FamilyOf returns the family of the tables whose rules match an address: ip6 for an
// address of IPv6, else ip.
func FamilyOf(a netip.Addr) nftables.TableFamily {
	if a.Is6() {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// FamilyName returns "ip", "ip6" or "inet".
func FamilyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	}
	return "ip"
}

// StepFamily is the family of a table as a step of the journal holds it: empty for ip,
// as in the journals of older versions, or "ip6".
type StepFamily string

// NewStepFamily returns the family of a table for a step.
func NewStepFamily(t *nftables.Table) StepFamily {
	if t.Family == nftables.TableFamilyIPv6 {
		return "ip6"
	}
	return ""
}

// Parse returns the family. A text that NewStepFamily does not return is an error.
func (f StepFamily) Parse() (nftables.TableFamily, error) {
	switch f {
	case "":
		return nftables.TableFamilyIPv4, nil
	case "ip6":
		return nftables.TableFamilyIPv6, nil
	}
	return 0, fmt.Errorf("%q is not the family of a table of snatlab's; its step is not undone", string(f))
}
