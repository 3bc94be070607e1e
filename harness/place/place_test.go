package place

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, file, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "file"), filepath.Join(dir, "link")
	must(t, unix.Mkfifo(pipe, 0o600))
	must(t, os.WriteFile(file, []byte("text"), 0o600))
	must(t, os.Symlink(file, link))
	for path, want := range map[string]string{
		file: "", link: "",
		pipe:            pipe + ": a pipe, not a regular file",
		"/dev/zero":     "/dev/zero: a device, not a regular file",
		dir:             dir + ": a folder, not a regular file",
		dir + "/absent": "open " + dir + "/absent: no such file or directory",
	} {
		done := make(chan error, 1)
		go func() {
			f, err := OpenFile(path)
			done <- errors.Join(err, f.Close())
		}()
		select {
		case err := <-done:
			if got := strings.TrimSuffix(errorText(err), "\ninvalid argument"); got != want { // of a nil file
				t.Errorf("%s: error %q, want %q", path, got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: does not end", path)
		}
	}
}

func TestOpenFileOfTheCaller(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	_, err = w.WriteString("text")
	must(t, errors.Join(err, w.Close()))
	f, err := OpenFile(fmt.Sprintf("/dev/fd/%d", r.Fd()))
	must(t, err)
	defer f.Close()
	if text, err := io.ReadAll(f); string(text) != "text" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Other users put links into a folder that every user can write to.
func TestFolderBehindALink(t *testing.T) {
	t.Parallel()
	for _, open := range []struct {
		name string
		open func(string) (*os.Root, error)
	}{{"OpenFolder", OpenFolder}, {"MakeFolder", MakeFolder}} {
		for _, c := range []struct {
			name, path string
			owner      int
			want       string // error behind the path
		}{
			{"of this user is followed", "link", os.Geteuid(), ""},
			{"of this user is followed on the way", "link/sub", os.Geteuid(), ""},
			{"of this user is followed, however often", "chain/sub", os.Geteuid(), ""},
			{"of root is followed", "link/sub", 0, ""},
			{"of another user is refused", "link", 4242, `"link" is a symbolic link of user 4242, which is not followed (name the folder itself)`},
			{"of another user is refused on the way", "link/sub", 4242, `"link" is a symbolic link of user 4242, which is not followed (name the folder itself)`},
			{"of another user is refused behind one of this user", "chain/sub", 4242, `"link" is a symbolic link of user 4242, which is not followed (name the folder itself)`},
			{"that leads to itself is refused", "loop", os.Geteuid(), "too many levels of symbolic links"},
			{"without an end is refused", "link/file/sub", os.Geteuid(), "not a directory"},
		} {
			t.Run(open.name+"/"+c.name, func(t *testing.T) {
				if os.Geteuid() != 0 && c.owner != os.Geteuid() {
					t.Skip("needs root, to make links of others")
				}
				dir := t.TempDir()
				must(t, os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, "real", "file"), nil, 0o600))
				for name, target := range map[string]string{"link": "real", "chain": dir + "/./real/../link", "loop": "loop"} {
					must(t, os.Symlink(target, filepath.Join(dir, name)))
				}
				must(t, os.Lchown(filepath.Join(dir, "link"), c.owner, -1))
				path := filepath.Join(dir, c.path)
				root, err := open.open(path)
				if root != nil {
					defer root.Close()
				}
				want := ""
				if c.want != "" {
					want = "open " + path + ": " + c.want
				}
				if errorText(err) != want {
					t.Errorf("error %v, want %q", err, want)
				}
				if c.want == "" {
					must(t, root.WriteFile("here", nil, 0o600))
				}
			})
		}
	}
}

func TestMakeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		root, err := MakeFolder("a//b/./c")
		must(t, err)
		must(t, root.WriteFile("here", nil, 0o600))
		must(t, root.Close())
	}
	if _, err := os.Stat("a/b/c/here"); err != nil {
		t.Error(err)
	}
	if _, err := OpenFolder("a/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	root, err := OpenFolder("a/b/../..")
	must(t, err)
	defer root.Close()
	if _, err := root.Stat("a"); err != nil {
		t.Error(err)
	}
}

func TestCheckReplaceable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := OpenFolder(dir)
	must(t, err)
	defer root.Close()
	must(t, root.WriteFile("file", nil, 0o600))
	must(t, root.Symlink("file", "link"))
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	for name, want := range map[string]string{
		"file": "", "free": "", "link": "a symbolic link, not a regular file", "pipe": "a pipe, not a regular file",
	} {
		if got := errorText(CheckReplaceable(root, name)); got != want {
			t.Errorf("%s: error %q, want %q", name, got, want)
		}
	}
}
