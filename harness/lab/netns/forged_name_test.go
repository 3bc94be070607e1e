package netns

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/undo"
)

// mountPrivateRun mounts an empty /run for this thread only. The thread is never
// unlocked, so it ends with the test.
func mountPrivateRun(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs root; make check leaves it out")
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root, to mount a /run of its own")
	}
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("snatlab-test", "/run", "tmpfs", 0, "mode=0755")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mountName makes a file and mounts a namespace on it, as giveName does.
func mountName(t *testing.T, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, nil, 0o400)
	}
	if err == nil {
		err = unix.Mount("/proc/self/ns/net", path, "", unix.MS_BIND, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
}

func isMounted(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Type == unix.NSFS_MAGIC
}

// A step of a journal that snatlab did not write undoes nothing.
func TestForgedName(t *testing.T) {
	mountPrivateRun(t)
	ours, theirs := namesDir+"/20260102-030405-c0ffee-router", "/run/theirs/20260102-030405-c0ffee-router"
	strange := namesDir + "/lost+found"
	for _, path := range []string{ours, theirs, strange} {
		mountName(t, path)
	}
	undoName := func(path string) error {
		args, _ := json.Marshal(namedSpace{path})
		return Undoers()[KindName](t.Context(), args)
	}
	for _, path := range []string{theirs, strange, "", namesDir, "/etc/passwd", namesDir + "/../../theirs/20260102-030405-c0ffee-router", namesDir + "/./20260102-030405-c0ffee-router",
		"run/snatlab/netns/20260102-030405-c0ffee-router", namesDir + "/..", namesDir + "/\x1b[2J-router"} {
		if err := undoName(path); err == nil {
			t.Errorf("%q is undone", path)
		}
	}
	for _, path := range []string{ours, theirs, strange} {
		if !isMounted(path) {
			t.Errorf("%s is no longer mounted", path)
		}
	}
	// The folder of names is a link. No subtest: another thread has another /run.
	if err := errors.Join(os.Rename(namesDir, namesDir+"-real"), os.Symlink("/run/theirs", namesDir)); err != nil {
		t.Fatal(err)
	}
	if err := undoName(ours); !errors.As(err, new(*undo.UntrustedError)) {
		t.Errorf("error %v", err)
	}
	if _, err := ListLeftovers(); !errors.As(err, new(*undo.UntrustedError)) {
		t.Errorf("error %v", err)
	}
	if !isMounted(theirs) {
		t.Error("another program's namespace is no longer mounted")
	}
	if err := errors.Join(os.Remove(namesDir), os.Rename(namesDir+"-real", namesDir)); err != nil {
		t.Fatal(err)
	}
	if err := undoName(ours); err != nil || isMounted(ours) {
		t.Errorf("error %v", err)
	}
	if err := undoName(ours); err != nil {
		t.Errorf("undone again: %v", err)
	}
}
