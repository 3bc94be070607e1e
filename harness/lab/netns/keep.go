package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/undo"
)

// named is where `ip netns` looks for namespaces.
const named = "/run/netns"

// prefix is what the names of our namespaces begin with.
const prefix = "snatlab-"

// Keep leaves the namespaces standing. Root gives them names, so that they need
// no process, as changes to the host in a journal that `snatlab cleanup` undoes.
// Any other user can mount nothing that others see: then the namespaces live as
// long as this process does.
func (l *netnsLab) Keep(ctx context.Context) (*lab.Kept, error) {
	if inUserNamespace() {
		return l.hold(), nil
	}
	journal, err := undo.Create(undo.Dir, l.Run, Undoers())
	if err != nil {
		return nil, err
	}
	k := &lab.Kept{Remove: "snatlab cleanup"}
	spaces := map[string]string{"router": fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), l.router.tid)}
	order := []string{"router"}
	for _, n := range l.nodes {
		spaces[n.name] = fmt.Sprintf("/proc/%d/ns/net", n.cmd.Process.Pid)
		order = append(order, n.name)
	}
	for _, part := range order {
		name := prefix + l.Run + "-" + part
		_, err := journal.Do(ctx, nameStep(name), func(context.Context) error { return giveName(spaces[part], name) })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep namespace %s: %w", part, err), journal.Close(ctx))
		}
		k.Look = append(k.Look, "ip netns exec "+name+" "+look(part))
	}
	if err := journal.Keep(); err != nil {
		return nil, err
	}
	err = l.Close(ctx)
	l.kept = true
	return k, err
}

// look is what one may want to see of a part of the lab.
func look(part string) string {
	if part == "router" {
		return "ip -brief address"
	}
	return "ip route"
}

// hold keeps the lab as it is.
func (l *netnsLab) hold() *lab.Kept {
	l.kept = true
	pid := os.Getpid()
	enter := func(space, command string) string {
		return fmt.Sprintf("nsenter --preserve-credentials --user=/proc/%d/ns/user --net=%s %s", pid, space, command)
	}
	k := &lab.Kept{Held: true, Remove: fmt.Sprintf("kill %d", pid)}
	k.Look = append(k.Look, enter(fmt.Sprintf("/proc/%d/task/%d/ns/net", pid, l.router.tid), look("router")))
	for _, n := range l.nodes {
		k.Look = append(k.Look, enter(fmt.Sprintf("/proc/%d/ns/net", n.cmd.Process.Pid), look(n.name)))
	}
	return k
}

// KindName is the kind of the step that gives a namespace a name.
const KindName = "netns.name"

// name is the journalled step.
type name struct {
	Name string `json:"name"`
}

func nameStep(n string) undo.Step {
	return undo.NewStep(KindName, "network namespace "+n, "ip netns delete "+n, name{n})
}

// Undoers undo what this package changes on the host.
func Undoers() undo.Undoers {
	return undo.Undoers{KindName: undo.With(func(_ context.Context, n name) error { return n.remove() })}
}

// Leftovers lists the namespaces that have a name of ours, as steps that
// remove them.
func Leftovers() ([]undo.Step, error) {
	entries, err := os.ReadDir(named)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var steps []undo.Step
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			steps = append(steps, nameStep(e.Name()))
		}
	}
	return steps, nil
}

// giveName makes a namespace known to `ip netns`.
func giveName(space, name string) error {
	if err := os.MkdirAll(named, 0o755); err != nil {
		return err
	}
	path := filepath.Join(named, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o444)
	if err != nil {
		return err
	}
	file.Close()
	if err := unix.Mount(space, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", space, path, err)
	}
	return nil
}

// remove takes the name away. One that is gone, or that was never mounted, is
// no error.
func (n name) remove() error {
	if !strings.HasPrefix(n.Name, prefix) || strings.ContainsRune(n.Name, '/') {
		return fmt.Errorf("%q is no name of ours", n.Name)
	}
	err := netns.DeleteNamed(n.Name)
	if errors.Is(err, unix.EINVAL) { // a file that nothing is mounted on
		err = os.Remove(filepath.Join(named, n.Name))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The folder is ours if nobody else uses it: ip(8) mounts something on it,
	// and then this fails.
	_ = os.Remove(named)
	return nil
}
