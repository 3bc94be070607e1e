package netns

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/nat/transaction"
	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// Preflight checks everything that a run in network namespaces needs, by building a
// router with one client and the rule, and removing them. It changes nothing, except
// that the kernel may load the modules that it needs. Writer
// is what writes the rule, and family that of the addresses. Entries is the room in the
// conntrack table that the run needs.
func Preflight(ctx context.Context, writer, family string, entries int) []machine.Precondition {
	all := []machine.Precondition{checkPrivilege()}
	if IsReexecuted() {
		all[0].Found += " of a user namespace of its own"
	}
	if all[0].State != machine.Met {
		all[0].Remedy = "run as root, or where user namespaces are allowed"
		for _, name := range []string{namespaces, masqueradeRule, "conntrack"} {
			all = append(all, machine.Precondition{Name: name, State: machine.Unknown, Found: "no privilege to look"})
		}
	} else {
		all = append(all, tryLab(ctx, Config{NAT: cmp.Or(writer, result.NATNFTables), Family: family, Clients: 1}, entries)...)
	}
	// The kernel last: building a router may have loaded the modules that it needs.
	return append(all, machine.CheckKernel(), machine.CheckCPUs(), machine.CheckOpenFiles("the limit of open files (ulimit -n)"))
}

// The names of preconditions.
const (
	namespaces     = "namespaces"
	masqueradeRule = "masquerade rule"
)

// tryClient starts the first client, and opens a session with it.
func (l *netnsLab) tryClient(ctx context.Context) error {
	p, err := l.startNode(ctx, l.nodes[1], probe.RoleClient)
	if err != nil {
		return err
	}
	c, err := probe.OpenClient(ctx, p.Stream)
	if err != nil {
		return err
	}
	return c.Close()
}

// tryLab builds the router, a client and the rule, and checks the conntrack table.
func tryLab(ctx context.Context, c Config, entries int) []machine.Precondition {
	links := machine.Precondition{Name: namespaces, Found: "network namespaces, bridge, veth, a probe in one", Remedy: "see \"What a run needs\" in docs/host-changes.md"}
	rule := machine.Precondition{Name: masqueradeRule, State: machine.Unknown, Found: "no router to look in"}
	table := machine.Precondition{Name: "conntrack", State: machine.Unknown, Found: rule.Found}

	l := newNetnsLab(c)
	defer l.Close(ctx)
	err := errors.Join(l.makeBarrier(ctx), l.makeRouter(ctx))
	if err == nil {
		err = l.tryClient(ctx)
	}
	if err != nil {
		links.State, links.Found = machine.Unmet, err.Error()
		return []machine.Precondition{links, rule, table}
	}
	rule.State = machine.Met
	if err := l.masqueradeClients(ctx); err != nil {
		rule.State, rule.Found, rule.Remedy = machine.Unmet, err.Error(), remedyForRule(c.NAT, err)
	} else {
		rule.Found = fmt.Sprintf("%s: %s", l.Rule.Program(), l.Rule.Text)
	}
	_ = l.router.do(func() error {
		table = lab.CheckConntrack(entries, false)
		return nil
	})
	return []machine.Precondition{links, rule, table}
}

// CheckIPv6 checks whether labs can have addresses of IPv6, as Preflight does it.
func CheckIPv6(ctx context.Context) machine.Precondition {
	found := machine.Precondition{Name: "IPv6", State: machine.Unknown, Found: "no privilege to look", Advisory: true}
	if checkPrivilege().State != machine.Met {
		return found
	}
	for _, p := range tryLab(ctx, Config{NAT: result.NATNFTables, Family: result.IPv6, Clients: 1}, 0) {
		if p.Name == masqueradeRule || p.State == machine.Unmet {
			found.State, found.Found = p.State, p.Found
		}
		if p.State == machine.Unmet {
			found.Remedy = "scenarios with lab: {family: ipv6} cannot run here, all others can"
			break
		}
	}
	return found
}

// remedyForRule names the missing module only if the kernel reported it.
func remedyForRule(writer string, err error) string {
	other := result.NATNFTables
	if writer == other {
		other = result.NATIPTables
	}
	remedy := fmt.Sprintf("choose `nat: %s` in the scenario", other)
	if missing, ok := errors.AsType[*transaction.MissingError](err); ok {
		return fmt.Sprintf("load the kernel's module %s, or %s", missing.Module, remedy)
	}
	return remedy
}
