package packaging

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// testVersion has what versions of packages cannot have: "-" and "+".
const testVersion = "v0.1.0-rc.1+test"

// packTwice makes the packages of the program twice, by users whose surroundings differ.
func packTwice(t *testing.T) (dirs [2]string) {
	t.Helper()
	surroundings := [2][]string{
		{"umask 022", "TZ=UTC", "LC_ALL=C"},
		{"umask 077", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8", "HOSTNAME=other"},
	}
	for i, s := range surroundings {
		dirs[i] = filepath.Join(t.TempDir(), "packages")
		work := t.TempDir()
		c := exec.Command("sh", "-c", s[0]+`; exec "$@"`, "sh", "../scripts/package", runtime.GOARCH, program(t), dirs[i])
		c.Env = append(os.Environ(), append(s[1:], "TMPDIR="+work, "VERSION="+testVersion, "SOURCE_DATE_EPOCH=1700000000")...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if left := listFiles(t, work); len(left) > 0 {
			t.Errorf("left in its folder for temporary files: %q", left)
		}
	}
	return dirs
}

// One binary gives the same packages, byte for byte, and they hold what `make install`
// installs.
func TestPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds nfpm; make check leaves it out")
	}
	dirs := packTwice(t)
	files := listFiles(t, dirs[0])
	if len(files) != 5 {
		t.Errorf("files: %q", files)
	}
	for _, file := range files {
		if readFile(t, dirs[0]+file) != readFile(t, dirs[1]+file) {
			t.Errorf("%s differs between two builds", file)
		}
	}
	find := func(ending string) string {
		i := slices.IndexFunc(files, func(f string) bool { return strings.HasSuffix(f, ending) })
		if i < 0 {
			t.Fatalf("there is no %s: %q", ending, files)
		}
		return dirs[0] + files[i]
	}
	t.Run("archive", func(t *testing.T) { checkArchive(t, find(".tar.gz")) })
	t.Run("deb", func(t *testing.T) { checkDeb(t, find(".deb")) })
	t.Run("modules", func(t *testing.T) { checkModules(t, find(".cdx.json")) })
}

// command returns the output of a program, and skips the test without the program.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// The archive has one folder, which is the tree of /usr/local, and nothing for /etc.
func checkArchive(t *testing.T, path string) {
	dir := t.TempDir()
	command(t, "tar", "-xzf", path, "-C", dir)
	root := install(t)
	checkError(t, os.RemoveAll(filepath.Join(root, "etc")))
	var want []string
	for _, file := range listFiles(t, root) {
		want = append(want, strings.Replace(file, "/usr/local", "/snatlab-0.1.0-rc.1+test-linux-"+runtime.GOARCH, 1))
	}
	compareFiles(t, listFiles(t, dir), want)
}

// compareFiles compares the files of a package with those of an installation. Only
// packages have the licenses of modules.
func compareFiles(t *testing.T, got, want []string) {
	t.Helper()
	i := slices.IndexFunc(got, func(f string) bool { return strings.HasSuffix(f, "/share/doc/snatlab/THIRD-PARTY-LICENSES") })
	if i < 0 {
		t.Fatalf("there are no licenses of modules: %q", got)
	}
	got = slices.Delete(got, i, i+1)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files: %q\nwant: %q", got, want)
	}
}

// The Debian package depends on nothing, replaces no setting that was changed, and
// belongs to root.
func checkDeb(t *testing.T, path string) {
	fields := command(t, "dpkg-deb", "--field", path)
	for _, want := range []string{"Package: snatlab\n", "Version: 0.1.0~rc.1+test\n", "Recommends: iptables | nftables\n"} {
		if !strings.Contains(fields, want) {
			t.Errorf("fields:\n%s\nwant: %s", fields, want)
		}
	}
	if strings.Contains(fields, "Depends:") || strings.Contains(fields, "docker") {
		t.Errorf("fields:\n%s", fields)
	}
	dir := t.TempDir()
	command(t, "dpkg-deb", "--raw-extract", path, dir)
	control := filepath.Join(dir, "DEBIAN")
	if got := readFile(t, filepath.Join(control, "conffiles")); got != "/etc/default/snatlab-nightly\n/etc/snatlab/scenarios/quickstart.yaml\n" {
		t.Errorf("conffiles: %s", got)
	}
	checkError(t, os.RemoveAll(control))
	var want []string
	for _, file := range listFiles(t, install(t, "PREFIX=/usr")) {
		switch {
		case strings.Contains(file, "/man/"):
			file += ".gz"
		case strings.HasSuffix(file, "/site-functions/_snatlab"):
			file = "/usr/share/zsh/vendor-completions/_snatlab"
		case strings.HasSuffix(file, "/doc/snatlab/LICENSE"):
			file = "/usr/share/doc/snatlab/copyright"
		}
		want = append(want, file)
	}
	compareFiles(t, listFiles(t, dir), want)
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", path)) {
		if !regexp.MustCompile(`^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) root/root .* 2023-11-1[45] `).MatchString(line) {
			t.Errorf("owner, mode or time: %s", line)
		}
	}
}

// The list of modules names those in the program, each with its version and license.
func checkModules(t *testing.T, path string) {
	var list struct {
		BOMFormat  string
		Components []struct {
			Name, Version string
			Evidence      *struct{ Licenses []any }
		}
	}
	checkError(t, json.Unmarshal([]byte(readFile(t, path)), &list))
	var got []string
	for _, c := range list.Components {
		got = append(got, c.Name+" "+c.Version)
		if c.Name != "std" && c.Evidence == nil {
			t.Errorf("%s has no license", c.Name)
		}
	}
	want := []string{"std " + runtime.Version()}
	for line := range strings.Lines(command(t, "go", "version", "-m", program(t))) {
		if f := strings.Fields(line); f[0] == "dep" {
			want = append(want, f[1]+" "+f[2])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if list.BOMFormat != "CycloneDX" || !slices.Equal(got, want) {
		t.Errorf("%s of %q\nwant: %q", list.BOMFormat, got, want)
	}
}

// A version that packages cannot have is refused.
func TestPackageVersion(t *testing.T) {
	for _, version := range []string{"dev", "0.1.0", "v0.1", "v0.1.0 rc", "v0.1.0-", "v0.1.0/.."} {
		c := exec.Command("../scripts/package", "amd64", "snatlab", t.TempDir())
		c.Env = append(os.Environ(), "VERSION="+version)
		out, err := c.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("package: VERSION "+version+" is not a semantic version (example: v0.1.0)\n")) {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
	}
}

// Scripts of a package have the syntax of the shell, and enable nothing.
func TestPackageScripts(t *testing.T) {
	for _, script := range []string{"postinstall", "preremove", "postremove"} {
		path := filepath.Join("linux", script)
		if out, err := exec.Command("sh", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if regexp.MustCompile(`systemctl[^\n]* (enable|start|preset|restart)`).MatchString(readFile(t, path)) {
			t.Errorf("%s enables or starts something", script)
		}
	}
}
