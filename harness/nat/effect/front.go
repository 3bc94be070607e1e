package effect

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	ours "snatlab/harness/nat/nftables"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/undo"
)

// No rule of snatlab's stands among those of netavark, the program that writes Podman's
// rules. netavark 1.14 cannot read its table of nftables with a rule of another program in
// it ("got invalid json"), and then no container starts. With iptables, netavark removes a
// network's chain when its last container ends, and leaves it if another rule is in it. So
// the rules of arms stand in a table of snatlab's own, whose chain packets pass before those
// of netavark and of iptables: the first rule that translates a connection decides.

// frontName begins the name of that table. The end of the run's id follows: the run's
// journal deletes that table and no other.
const frontName = "snatlab-front"

var frontNames = regexp.MustCompile(`^` + frontName + `(-[A-Za-z0-9_-]{1,6})?$`)

const frontChain = "postrouting"

const podmansTable = "netavark"

// isPodmans reports whether netavark wrote the rule.
func (r Rule) isPodmans() bool {
	return r.at.table.Name == podmansTable || strings.HasPrefix(r.at.chain, "NETAVARK-")
}

// podmansChain matches the name of a chain that netavark makes in its table of nftables for a
// network of IPv4: nv_2f259bab_10_88_0_0_nm16.
var podmansChain = regexp.MustCompile(`^nv_[0-9a-f]+_(\d+)_(\d+)_(\d+)_(\d+)_nm(\d+)$`)

// isForOthers reports whether the rule is in netavark's table of nftables, and not in the
// chain of the network that has the address. Its rules have no counters, but its chains have
// names by which they are known.
func (r Rule) isForOthers(address netip.Addr) bool {
	if r.at.table.Name != podmansTable {
		return false
	}
	name := podmansChain.FindStringSubmatch(r.at.chain)
	if name == nil {
		return true
	}
	network, err := netip.ParsePrefix(strings.Join(name[1:5], ".") + "/" + name[5])
	return err != nil || !network.Contains(address)
}

// frontStep is the journalled step that makes the table.
type frontStep struct {
	Table string `json:"table"`
}

const frontKind = "nat.front"

// makeFront makes the table for the rules of arms, if one of the found rules is Podman's.
func (r *Rules) makeFront(ctx context.Context, journal *undo.Journal) error {
	if !slices.ContainsFunc(r.Found, func(f Found) bool { return f.Rule.isPodmans() }) {
		return nil
	}
	name := frontName
	if run := journal.RunID(); run != "" {
		name += "-" + run[max(0, len(run)-6):] // the end is its random part
	}
	if !frontNames.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a table of snatlab's", name)
	}
	// Checked before the step is journalled: undoing it would delete the table of another
	// program.
	if err := transaction.CheckNoTable(ctx, frontTable(name)); err != nil {
		return err
	}
	step := undo.NewStep(frontKind, "nftables table ip "+name, "nft delete table ip "+name, frontStep{name})
	_, err := journal.Do(ctx, step, func(ctx context.Context) error {
		table := frontTable(name)
		return transaction.Send(ctx, func(c *nftables.Conn) {
			c.AddTable(table)
			c.AddChain(&nftables.Chain{
				Name: frontChain, Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting,
				Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource - 1), Policy: new(nftables.ChainPolicyAccept),
			})
		})
	})
	if err != nil {
		return fmt.Errorf("make table ip %s, before the rules of Podman: %w", name, err)
	}
	r.front = place{table: ours.Table{Family: unix.NFPROTO_IPV4, Name: name}, chain: frontChain}
	return nil
}

func frontTable(name string) *nftables.Table {
	return &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}
}

// deleteTable deletes the table, if its name is one of snatlab's: the journal decides which
// table root deletes.
func (s frontStep) deleteTable(ctx context.Context) error {
	if !frontNames.MatchString(s.Table) {
		return fmt.Errorf("%q is not the name of a table of snatlab's; its step is not undone", s.Table)
	}
	if err := transaction.DeleteTable(ctx, frontTable(s.Table)); err != nil {
		return fmt.Errorf("delete table ip %s: %w", s.Table, err)
	}
	return nil
}
