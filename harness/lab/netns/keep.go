package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/undo"
)

// namesDir is the folder of the names of namespaces. It is not the folder of `ip
// netns`, which all programs use: everything in this folder is ours.
const namesDir = undo.Dir + "/netns"

// Keep leaves the namespaces standing. As root it names them, so that they need no
// process. The names are changes to the host, in a journal that `snatlab cleanup`
// undoes. A process that Reexec started can mount nothing that others see: then the
// namespaces exist as long as this process.
func (l *netnsLab) Keep(ctx context.Context) (kept *lab.Kept, err error) {
	if IsReexecuted() {
		return l.holdLab(), nil
	}
	journal, err := undo.CreateJournal(undo.Dir, l.config.Run, Undoers())
	if err != nil {
		return nil, err
	}
	defer func() { // a panic as well
		if !l.kept {
			err = errors.Join(err, journal.Close(undo.Context(ctx)))
		}
	}()
	k := &lab.Kept{Remove: "snatlab cleanup"}
	for _, s := range l.listSpaces() {
		path := filepath.Join(namesDir, l.config.Run+"-"+s.part)
		_, err := journal.Do(ctx, nameStep(path), func(context.Context) error { return giveName(s.handle, path) })
		if err != nil {
			return nil, fmt.Errorf("keep the namespace of the %s: %w", s.part, err)
		}
		k.Look = append(k.Look, "nsenter --net="+path+" "+lookCommand(s.part))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := journal.Keep(); err != nil {
		return nil, err
	}
	err = l.Close(ctx) // the probes; the names hold the namespaces
	l.kept = true
	return k, err
}

// labSpace is a namespace of the lab.
type labSpace struct {
	part   string
	handle netns.NsHandle
}

func (l *netnsLab) listSpaces() []labSpace {
	all := []labSpace{{"router", l.router.space}}
	for _, n := range l.nodes {
		all = append(all, labSpace{n.name, n.space})
	}
	return all
}

// lookCommand returns a command line that shows a part of the lab.
func lookCommand(part string) string {
	if part == "router" {
		return "ip -brief address"
	}
	return "ip route"
}

// holdLab keeps the lab as it is, in this process.
func (l *netnsLab) holdLab() *lab.Kept {
	l.kept = true
	pid := os.Getpid()
	k := &lab.Kept{Held: true, Remove: fmt.Sprintf("kill %d", pid)}
	for _, s := range l.listSpaces() {
		k.Look = append(k.Look, fmt.Sprintf("nsenter --preserve-credentials --user=/proc/%[1]d/ns/user --net=/proc/%[1]d/fd/%[2]d %[3]s",
			pid, s.handle, lookCommand(s.part)))
	}
	return k
}

// KindName is the kind of the step that names a namespace.
const KindName = "netns.name"

// nameForm is the form of the names that Keep makes: a run and a part of its lab.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}-(router|server|client-[0-9]{1,4})$`)

// namedSpace is a journalled step: a namespace that was named.
type namedSpace struct {
	Path string `json:"path"`
}

func nameStep(path string) undo.Step {
	return undo.NewStep(KindName, "network namespace "+path, fmt.Sprintf("umount %[1]s && rm %[1]s", path), namedSpace{path})
}

// Undoers returns what undoes the steps of this package.
func Undoers() undo.Undoers {
	return undo.Undoers{KindName: undo.NewUndoer(func(_ context.Context, n namedSpace) error { return n.removeName() })}
}

// ListLeftovers lists the names of namespaces, as steps that remove them.
func ListLeftovers() ([]undo.Step, error) {
	var entries []fs.DirEntry
	err := checkNamesDir()
	if err == nil {
		entries, err = os.ReadDir(namesDir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	journals, err := undo.FindJournals(undo.Dir)
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	var steps []undo.Step
	for _, e := range entries {
		if isBeingKept(e.Name(), journals) {
			continue
		}
		steps = append(steps, nameStep(filepath.Join(namesDir, e.Name())))
	}
	return steps, nil
}

// checkNamesDir checks that only this user can have made the names: a link among the
// folders would lead to other mounts and files.
func checkNamesDir() error {
	if err := undo.CheckFolder(undo.Dir); err != nil {
		return err
	}
	return undo.CheckFolder(namesDir)
}

// isBeingKept reports whether the run of a name is active, and is making its names.
func isBeingKept(name string, journals []string) bool {
	return slices.ContainsFunc(journals, func(path string) bool {
		run := runOf(path)
		return strings.HasPrefix(name, run+"-") && undo.IsActive(path)
	})
}

// giveName mounts a namespace on a file, which keeps the namespace.
func giveName(handle netns.NsHandle, path string) error {
	if err := os.MkdirAll(namesDir, 0o700); err != nil {
		return err
	}
	if err := checkNamesDir(); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o400)
	if err != nil {
		return err
	}
	file.Close()
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", handle), path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount a network namespace on %s: %w", path, err)
	}
	return nil
}

// removeName removes the name. A name that is gone, or that was never mounted, is no
// error.
func (n namedSpace) removeName() error {
	if base := filepath.Base(n.Path); !nameForm.MatchString(base) || n.Path != filepath.Join(namesDir, base) {
		return fmt.Errorf("%q is not a name that snatlab makes", n.Path)
	}
	err := checkNamesDir()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = unix.Unmount(n.Path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // nothing is mounted on it; it is gone
		return fmt.Errorf("unmount %s: %w", n.Path, err)
	}
	if err := os.Remove(n.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(namesDir) // fails if the folder has another name in it
	return nil
}
