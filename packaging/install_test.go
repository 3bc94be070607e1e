package packaging

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// buildProgram builds the program once. With -short the paths in it are not trimmed:
// otherwise all imports would be compiled again.
var buildProgram = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "snatlab")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "snatlab")
	c := exec.Command("go", "build", "-trimpath="+strconv.FormatBool(!testing.Short()), "-buildvcs=false", "-ldflags=-s -w", "-tags=", "-o", path, "../cmd/snatlab")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, os.Chmod(dir, 0o755) // other users run it
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := buildProgram(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program returns the path of the program.
func program(t *testing.T) string {
	t.Helper()
	path, err := buildProgram()
	checkError(t, err)
	return path
}

// makeTarget returns the command that makes a target as a user types it.
func makeTarget(t *testing.T, target string, variables ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"--no-print-directory", "-C", "..", target, "BINARY=" + program(t)}, variables...)
	c := exec.Command("make", args...)
	// Variables of the make that runs this test.
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	return c
}

// install makes the root of a machine on which snatlab is installed.
func install(t *testing.T, variables ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	if out, err := makeTarget(t, "install", append(variables, "DESTDIR="+root)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return root
}

// listFiles returns the paths of the files below root, as they are on that machine.
func listFiles(t *testing.T, root string) (paths []string) {
	t.Helper()
	checkError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			paths = append(paths, strings.TrimPrefix(path, root))
		}
		return err
	}))
	return paths
}

// The files are where programs look for them, and all users can read them, whatever the
// umask of the one who installs.
func TestInstall(t *testing.T) {
	root := t.TempDir()
	c := makeTarget(t, "install", "DESTDIR="+root)
	c = exec.Command("sh", append([]string{"-c", `umask 077; exec "$@"`, "sh"}, c.Args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files := listFiles(t, root)
	for _, want := range []string{
		"/usr/local/bin/snatlab",
		"/usr/local/share/man/man1/snatlab.1",
		"/usr/local/share/man/man1/snatlab-history-prune.1",
		"/usr/local/share/bash-completion/completions/snatlab",
		"/usr/local/share/zsh/site-functions/_snatlab",
		"/usr/local/share/fish/vendor_completions.d/snatlab.fish",
		"/usr/local/lib/systemd/system/snatlab-nightly.service",
		"/usr/local/lib/systemd/system/snatlab-nightly.timer",
		"/usr/local/share/doc/snatlab/README.md",
		"/usr/local/share/doc/snatlab/docs/nightly.md",
		"/usr/local/share/doc/snatlab/examples/snatlab-alerts.yaml",
		"/etc/default/snatlab-nightly",
		"/etc/snatlab/scenarios/quickstart.yaml",
	} {
		if !slices.Contains(files, want) {
			t.Errorf("there is no %s", want)
		}
	}
	checkError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		if d.IsDir() || filepath.Base(path) == "snatlab" && filepath.Base(filepath.Dir(path)) == "bin" {
			want = 0o755
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
		return nil
	}))
	for _, file := range files {
		if filepath.Ext(file) == ".go" || strings.Contains(file, "testdata") {
			t.Errorf("%s is not for users", file)
		}
	}
}

// Every path in the installed units, settings and alerts that is snatlab's own is one that
// was installed, for each prefix.
func TestInstallPaths(t *testing.T) {
	own := regexp.MustCompile(`/[\w./-]*snatlab[\w./-]*`)
	made := regexp.MustCompile(`^/(run|var/lib)/snatlab$`) // by systemd and by the program
	for _, prefix := range []string{"/usr", "/usr/local", "/opt/snatlab"} {
		t.Run(prefix, func(t *testing.T) {
			root := install(t, "PREFIX="+prefix)
			var texts []string
			for _, file := range listFiles(t, root) {
				if strings.Contains(file, "/systemd/") || strings.Contains(file, "/default/") || strings.HasSuffix(file, "-alerts.yaml") {
					texts = append(texts, readFile(t, root+file))
				}
			}
			if len(texts) != 4 {
				t.Errorf("%d units, settings and alerts", len(texts))
			}
			for _, path := range own.FindAllString(strings.Join(texts, "\n"), -1) {
				path = strings.TrimSuffix(path, ".") // of a sentence
				if _, err := os.Stat(root + path); err != nil && !made.MatchString(path) && !isExample(path) {
					t.Errorf("%s was not installed", path)
				}
			}
			for _, text := range texts {
				if strings.Contains(text, "@") && regexp.MustCompile(`@\w+@`).MatchString(text) || strings.Contains(text, root) {
					t.Errorf("a folder is not filled in:\n%s", text)
				}
			}
		})
	}
}

// isExample reports whether a path is one of an option that is commented out.
func isExample(path string) bool {
	return strings.HasSuffix(path, "/known-failures.yaml") || strings.HasSuffix(path, ".prom")
}

// Files that the administrator changed are kept, and a second installation changes no
// other file.
func TestInstallAgain(t *testing.T) {
	root := install(t)
	settings := filepath.Join(root, "etc/default/snatlab-nightly")
	checkError(t, os.WriteFile(settings, []byte("SNATLAB_NIGHTLY=mine\n"), 0o600))
	out, err := makeTarget(t, "install", "DESTDIR="+root).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "install: kept "+settings+", which differs from the new one\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if got := readFile(t, settings); got != "SNATLAB_NIGHTLY=mine\n" {
		t.Errorf("the settings are now %q", got)
	}
}

// What was installed is removed. Files of others, and settings that were changed, stay.
func TestUninstall(t *testing.T) {
	root := install(t)
	settings := filepath.Join(root, "etc/default/snatlab-nightly")
	checkError(t, os.WriteFile(settings, []byte("SNATLAB_NIGHTLY=mine\n"), 0o644))
	foreign := filepath.Join(root, "etc/snatlab/scenarios/mine.yaml")
	checkError(t, os.WriteFile(foreign, nil, 0o644))
	out, err := makeTarget(t, "uninstall", "DESTDIR="+root).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "uninstall: kept "+settings+", which was changed\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if left := listFiles(t, root); !slices.Equal(left, []string{"/etc/default/snatlab-nightly", "/etc/snatlab/scenarios/mine.yaml"}) {
		t.Errorf("left: %q", left)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/local/share/doc/snatlab")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of the documentation: %v", err)
	}
}

// asUser makes c run as a user without privilege, if this is root. It skips the test if
// that user cannot read the source.
func asUser(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	read := exec.Command("test", "-x", "../scripts/install")
	read.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
	if read.Run() != nil {
		t.Skip("the user nobody cannot read the source")
	}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: nobody}
}

// A folder that cannot be used is named, with what to do, and nothing is installed.
func TestInstallRefused(t *testing.T) {
	root, err := os.MkdirTemp("", "prefix") // the folder of t.TempDir is closed to other users
	checkError(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	file := filepath.Join(root, "file")
	checkError(t, os.WriteFile(file, nil, 0o644))
	shut := filepath.Join(root, "shut")
	checkError(t, os.Mkdir(shut, 0o755))
	checkError(t, os.Chmod(root, 0o755))
	checkError(t, os.Chmod(shut, 0o555))
	for _, c := range []struct{ name, prefix, want string }{
		{"unwritable", shut, `install: cannot write to ` + shut + `: run as root (sudo make install), or use a folder of yours: make install PREFIX=$HOME/.local`},
		{"below_unwritable", shut + "/a/b", `install: cannot write to ` + shut + `: run as root`},
		{"file", file, `install: ` + file + ` is not a folder: remove it, or use another one: make install PREFIX=FOLDER`},
		{"relative", "here", `install: the folder "here/bin" must be absolute`},
		{"home_not_expanded", "~/.local", `install: the folder "~/.local/bin" must be absolute`},
		{"space", root + "/a b", `install: the folder "` + root + `/a b/bin" must be absolute, without spaces`},
		{"specifier_of_systemd", root + "/%h", `install: the folder "` + root + `/%h/bin" must be absolute, without spaces and special characters`},
	} {
		t.Run(c.name, func(t *testing.T) {
			command := makeTarget(t, "install", "PREFIX="+c.prefix)
			asUser(t, command)
			out, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s\nwant: %s", err, out, c.want)
			}
		})
	}
	if left := listFiles(t, root); !slices.Equal(left, []string{"/file"}) {
		t.Errorf("installed: %q", left)
	}
}

// On a full disk the program that was there stays whole.
func TestInstallFullDisk(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("mounts a small disk in a namespace: needs root; make check leaves it out")
	}
	disk := t.TempDir()
	const script = `mount -t tmpfs -o size=1m tmpfs "$0"; mkdir "$0/bin"; echo old >"$0/bin/snatlab"; ! "$@"; cat "$0/bin/snatlab"; find "$0" -type f`
	args := append([]string{"--mount", "sh", "-ec", script, disk}, makeTarget(t, "install", "PREFIX="+disk).Args...)
	out, err := exec.Command("unshare", args...).CombinedOutput()
	want := "install: cannot write " + disk + "/bin/snatlab (see above)\n"
	if err != nil || !strings.Contains(string(out), want) || !strings.HasSuffix(string(out), "\nold\n"+disk+"/bin/snatlab\n") {
		t.Errorf("%v\n%s\nwant: %s", err, out, want)
	}
}
