package netns

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"snatlab/harness/lab"
	"snatlab/harness/nat"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// Preflight looks at everything that a run in network namespaces needs, by
// building a router with one cable and the rule, in a namespace of its own that
// it throws away. It changes nothing. Binary is the program that the probes
// run, empty for this one; entries is the room in the conntrack table that the
// run wants.
func Preflight(ctx context.Context, writer string, entries int) []lab.Precondition {
	all := []lab.Precondition{checkPrivilege(), lab.CheckKernel()}
	if inUserNamespace() {
		all[0].Found += " in a user namespace"
	}
	if all[0].State != lab.Met {
		all[0].Remedy = "run as root, or where user namespaces are allowed"
		for _, name := range []string{namespaces, masqueradeRule, "conntrack"} {
			all = append(all, lab.Precondition{Name: name, State: lab.Unknown, Found: "no privilege to look"})
		}
	} else {
		all = append(all, try(ctx, cmp.Or(writer, scenario.NFTables), entries)...)
	}
	return append(all, lab.CheckCPUs(), lab.CheckFiles("the limit of open files (ulimit -n)"))
}

// The names of preconditions.
const (
	namespaces     = "namespaces"
	masqueradeRule = "masquerade rule"
)

// try builds what a lab stands on.
func try(ctx context.Context, writer string, entries int) []lab.Precondition {
	links := lab.Precondition{Name: namespaces, Found: "network namespaces, bridge, veth", Remedy: "see the README's section on namespaces"}
	rule := lab.Precondition{Name: masqueradeRule, State: lab.Unknown, Found: "no router to look in"}
	table := lab.Precondition{Name: "conntrack", State: lab.Unknown, Found: rule.Found}

	l := &netnsLab{Config: Config{NAT: writer, Say: func(string) {}}, journal: undo.InMemory(nat.Undoers())}
	defer l.Close(ctx)
	err := errors.Join(l.makeBarrier(ctx), l.makeRouter(ctx))
	if err == nil {
		err = l.router.tryCable()
	}
	if err != nil {
		links.State, links.Found = lab.Unmet, err.Error()
		return []lab.Precondition{links, rule, table}
	}
	rule.State, rule.Remedy = lab.Met, "the kernel's NAT is missing; or choose the other `nat` in the scenario"
	if err := l.masquerade(ctx); err != nil {
		rule.State, rule.Found = lab.Unmet, err.Error()
	} else {
		rule.Found = fmt.Sprintf("%s: %s", l.rule.Program(), l.rule.Text)
	}
	_ = l.router.do(func() error {
		table = lab.CheckConntrack(entries)
		return nil
	})
	return []lab.Precondition{links, rule, table}
}
