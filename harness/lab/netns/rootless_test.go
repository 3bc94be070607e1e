package netns

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The error names the setting that forbids user namespaces, and what else can be done.
func TestExplainForbidden(t *testing.T) {
	t.Parallel()
	const found = "operation not permitted"
	const instead = "; or run as root (sudo), or use --driver docker)"
	for name, c := range map[string]struct {
		proc map[string]string
		want string
	}{
		"Debian's old switch": {map[string]string{"sys/kernel/unprivileged_userns_clone": "0\n", "self/ns/user": ""},
			"kernel.unprivileged_userns_clone is 0 (as root: sysctl kernel.unprivileged_userns_clone=1" + instead},
		"AppArmor on Ubuntu 24.04": {map[string]string{"sys/kernel/apparmor_restrict_unprivileged_userns": "1\n", "sys/user/max_user_namespaces": "96365\n", "self/ns/user": ""},
			"kernel.apparmor_restrict_unprivileged_userns is 1 (as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for this program" + instead},
		"none allowed": {map[string]string{"sys/user/max_user_namespaces": "0\n", "self/ns/user": ""},
			"user.max_user_namespaces is 0 (as root: sysctl user.max_user_namespaces=10000" + instead},
		"a kernel without them": {nil,
			"this kernel has none (CONFIG_USER_NS" + instead},
		"a container's filter": {map[string]string{"self/ns/user": "", "self/status": "Name:\tsnatlab\nSeccomp:\t2\n"},
			"a seccomp filter, as containers have it, may forbid it (--security-opt seccomp=unconfined --security-opt systempaths=unconfined" + instead},
		"whatever else": {map[string]string{"self/ns/user": "", "self/status": "Name:\tsnatlab\nSeccomp:\t0\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			for path, text := range c.proc {
				path = filepath.Join(proc, path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			want := "make a user namespace: " + found + ": " + c.want
			if c.want == "" {
				want = "make a user namespace: " + found + " (run as root (sudo), or use --driver docker)"
			}
			if err := explainForbidden(proc, found, false); err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

// Root is not advised to become root.
func TestExplainForbiddenRoot(t *testing.T) {
	t.Parallel()
	err := explainForbidden(t.TempDir(), "operation not permitted", true)
	const want = "make a user namespace: operation not permitted: this kernel has none (CONFIG_USER_NS; or give this container --privileged, or use the host)"
	if err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// A kind of link that the kernel lacks is named.
func TestAddModuleHint(t *testing.T) {
	t.Parallel()
	err := addModuleHint(unix.EOPNOTSUPP, "veth", "CONFIG_VETH")
	if want := "operation not supported (does this kernel have veth? modprobe veth, CONFIG_VETH)"; err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if err := addModuleHint(unix.EEXIST, "veth", "CONFIG_VETH"); strings.Contains(err.Error(), "modprobe") {
		t.Errorf("error %v", err)
	}
}
