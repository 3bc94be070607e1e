package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The version of a build is that of its tag, or made of its commit, and says whether files
// differ from it.
func TestSourceVersion(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "scripts", "version")
	checkError(t, os.Mkdir(filepath.Dir(script), 0o755))
	checkError(t, os.WriteFile(script, []byte(readFile(t, "../scripts/version")), 0o755))
	git := func(args ...string) {
		c := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=someone", "-c", "user.email=someone@example.org"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	check := func(want string) {
		t.Helper()
		c := exec.Command(script)
		// No repository around the folder counts.
		c.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		out, err := c.CombinedOutput()
		if err != nil || !regexp.MustCompile(`^`+want+`\n$`).Match(out) {
			t.Errorf("version %q, %v; want: %s", out, err, want)
		}
	}
	check(`v0\.0\.0-dev`)
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message", "one")
	check(`v0\.0\.0-dev\+[0-9a-f]{12}`)
	git("tag", "nightly") // is no version
	check(`v0\.0\.0-dev\+[0-9a-f]{12}`)
	checkError(t, os.WriteFile(filepath.Join(dir, "new"), nil, 0o644)) // in no commit: not asked for
	check(`v0\.0\.0-dev\+[0-9a-f]{12}`)
	git("tag", "v0.1.0-rc.1")
	check(`v0\.1\.0-rc\.1`)
	git("rm", "--quiet", "--cached", "scripts/version")
	check(`v0\.1\.0-rc\.1\+dirty`)
	git("tag", "--delete", "v0.1.0-rc.1")
	check(`v0\.0\.0-dev\+[0-9a-f]{12}\.dirty`)
}
