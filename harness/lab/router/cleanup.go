package router

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/undo"
)

// cleanup undoes what earlier runs have left on the node.
func (a *Agent) cleanup(ctx context.Context, o CleanupOrder) (c Cleaned, err error) {
	lock, err := undo.TakeLock(undo.Dir, "cleanup")
	switch {
	case err == nil:
		defer lock.Release()
	case !o.Force || !errors.As(err, new(*undo.LockedError)):
		return c, err
	}
	err = undo.Replay{
		Dir: undo.Dir, Undoers: undoers(), Kept: true, Active: o.Force, DryRun: o.DryRun, Notify: func(string) {},
		Announce: func(s undo.Step) { c.Undone = append(c.Undone, s.What) },
	}.Run(undo.Context(ctx))
	if left, ok := errors.AsType[*undo.LeftError](err); ok {
		c.Left = listLeft(left)
	} else if err != nil {
		c.Error = err.Error()
	}
	return c, nil
}

// check checks what a run needs of the node.
func (a *Agent) check(ctx context.Context, o CheckOrder) ([]machine.Precondition, error) {
	return []machine.Precondition{
		machine.CheckPrivilege(unix.CAP_NET_ADMIN), checkJournal(), machine.CheckKernel(), lab.CheckConntrack(o.Entries, true),
		machine.CheckCPUs(), checkPrograms(), checkRules(ctx),
	}, nil
}

func checkJournal() machine.Precondition {
	p := machine.Precondition{Name: "journal", Found: "in " + undo.Dir}
	err := undo.CheckFolder(undo.Dir)
	if err == nil {
		err = unix.Access(undo.Dir, unix.W_OK|unix.X_OK)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "see who made the folder on the node"
	}
	return p
}

// checkPrograms looks for the iptables programs of the node. Only rules of iptables-legacy
// need one.
func checkPrograms() machine.Precondition {
	p := machine.Precondition{Name: "iptables", Advisory: true}
	installed, err := iptables.FindInstalled(iptables.IPv4)
	var versions []string
	for _, t := range installed {
		versions = append(versions, t.Version())
	}
	p.Found = strings.Join(versions, ", ")
	if err != nil {
		p.Found = err.Error()
	}
	if iptables.HasUnseenLegacy(iptables.IPv4, installed) {
		p.State, p.Remedy = machine.Unmet, "the node has rules of iptables-legacy, and no program that can list them: install iptables-legacy there"
	}
	return p
}

// checkRules lists the rules that may translate connections of Pods.
func checkRules(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: "rules", Advisory: true}
	all, err := listRules(ctx)
	switch {
	case err != nil:
		p.State, p.Found = machine.Unknown, err.Error()
	case len(all) == 0:
		p.State, p.Found = machine.Unmet, "no rule of iptables or nftables translates source addresses"
		p.Remedy = "does another program translate (eBPF, IPVS)? or are Pods routed? The path check of a run decides"
	default:
		p.Found = fmt.Sprintf("%d translate source addresses, the first one: %s", len(all), all[0])
	}
	return p
}
