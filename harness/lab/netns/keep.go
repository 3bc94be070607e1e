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

// namesDir is where namespaces have names. It is not where `ip netns` looks, which
// is everybody's: what is found here is ours.
const namesDir = undo.Dir + "/netns"

// Keep leaves the namespaces standing. Root gives them names, so that they need
// no process, as changes to the host in a journal that `snatlab cleanup` undoes.
// What Reexec started can mount nothing that others see: then the namespaces
// live as long as this process does.
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

// lookCommand is what one may want to see of a part of the lab.
func lookCommand(part string) string {
	if part == "router" {
		return "ip -brief address"
	}
	return "ip route"
}

// holdLab keeps the lab as it is.
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

// KindName is the kind of the step that gives a namespace a name.
const KindName = "netns.name"

// nameForm are those that Keep gives: of a run, and of a part of its lab.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}-(router|server|client-[0-9]{1,4})$`)

// namedSpace is the journalled step.
type namedSpace struct {
	Path string `json:"path"`
}

func nameStep(path string) undo.Step {
	return undo.NewStep(KindName, "network namespace "+path, fmt.Sprintf("umount %[1]s && rm %[1]s", path), namedSpace{path})
}

// Undoers undo what this package changes on the host.
func Undoers() undo.Undoers {
	return undo.Undoers{KindName: undo.NewUndoer(func(_ context.Context, n namedSpace) error { return n.removeName() })}
}

// ListLeftovers lists the names that there are, as steps that remove them.
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

// checkNamesDir checks that only this user can have put names where they are: a
// link among the folders would lead to somebody else's mounts and files.
func checkNamesDir() error {
	if err := undo.CheckFolder(undo.Dir); err != nil {
		return err
	}
	return undo.CheckFolder(namesDir)
}

// isBeingKept tells a name that its run is giving at this moment.
func isBeingKept(name string, journals []string) bool {
	return slices.ContainsFunc(journals, func(path string) bool {
		run := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		return strings.HasPrefix(name, run+"-") && undo.IsActive(path)
	})
}

// giveName holds a namespace by a file that it is mounted on.
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

// removeName takes the name away. One that is gone, or that was never mounted, is
// no error.
func (n namedSpace) removeName() error {
	if base := filepath.Base(n.Path); !nameForm.MatchString(base) || n.Path != filepath.Join(namesDir, base) {
		return fmt.Errorf("%q is no name that snatlab gives", n.Path)
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
	_ = os.Remove(namesDir) // fails as long as there is another name in it
	return nil
}
