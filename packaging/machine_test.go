package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// debianSuite is the release of Debian in which packages are installed.
const debianSuite = "bookworm"

// debianPackages are what the tests need there, besides the smallest system.
var debianPackages = []string{"systemd", "man-db", "bash-completion", "zsh", "fish", "rpm", "qemu-user-static"}

// machine is a Debian system in a folder. Its processes have namespaces of their own for
// mounts and processes, so that nothing is left of them on this host.
type machine struct {
	t    *testing.T
	root string
}

// newMachine installs Debian into the folder, or uses the one that is there.
func newMachine(t *testing.T, root string) machine {
	t.Helper()
	m := machine{t, root}
	if _, err := os.Stat(filepath.Join(root, "debootstrap")); err == nil {
		t.Fatalf("%s is a Debian that was not installed whole: remove it", root)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/dpkg")); err == nil {
		return m
	}
	args := []string{"--mount", "debootstrap", "--variant=minbase", "--include=" + strings.Join(debianPackages, ","), debianSuite, root}
	if mirror := os.Getenv("SNATLAB_DEBIAN_MIRROR"); mirror != "" {
		args = append(args, mirror+"/debian")
	}
	if out, err := exec.Command("unshare", args...).CombinedOutput(); err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	m.do(rootUser, "useradd --create-home --uid "+ordinaryUser+" user")
	return m
}

// The users of a machine.
const (
	rootUser     = "0"
	ordinaryUser = "1000"
)

// enter makes a folder the root of a process, with its user. It is no chroot, because a
// process in a chroot may not make a user namespace.
const enter = `
root=$1 user=$2
shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p mnt/host
pivot_root . mnt/host
umount -l /mnt/host
cd /
exec setpriv --reuid "$user" --regid "$user" --clear-groups env -i HOME=/home/user \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb LANG=C.UTF-8 bash -euo pipefail -c "$1"
`

// command returns a command of a user on the machine, in bash.
func (m machine) command(user, script string) *exec.Cmd {
	return exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh", "-ec", enter, "sh", m.root, user, script)
}

// do runs a script, and returns what it printed.
func (m machine) do(user, script string) string {
	m.t.Helper()
	out, err := m.command(user, script).CombinedOutput()
	if err != nil {
		m.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// put copies a file of this host to a path on the machine.
func (m machine) put(file, path string) {
	m.t.Helper()
	text, err := os.ReadFile(file)
	checkError(m.t, err)
	checkError(m.t, os.WriteFile(filepath.Join(m.root, path), text, 0o644))
}
