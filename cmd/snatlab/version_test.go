package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: commit}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		name, module string
		settings     []debug.BuildSetting
		want         string
	}{
		{"release", "v0.1.0", nil, "v0.1.0"},
		{"between_releases", "v0.1.1-0.20261123051228-0123456789ab+dirty", vcs("true"), "v0.1.1-0.20261123051228-0123456789ab+dirty"},
		{"commit", "(devel)", vcs("false"), "v0.0.0-dev+0123456789ab"},
		{"commit_without_module", "", vcs("false"), "v0.0.0-dev+0123456789ab"},
		{"changed_files", "(devel)", vcs("true"), "v0.0.0-dev+0123456789ab.dirty"},
		{"short_commit", "", []debug.BuildSetting{{Key: "vcs.revision", Value: "0123"}}, "v0.0.0-dev+0123"},
		{"nothing_recorded", "(devel)", nil, "v0.0.0-dev"},
		{"changed_nothing", "", []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, "v0.0.0-dev"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := &debug.BuildInfo{Main: debug.Module{Path: "snatlab", Version: c.module}, Settings: c.settings}
			if got := versionOf(info); got != c.want {
				t.Errorf("version %q, want %q", got, c.want)
			}
		})
	}
}

// A build without -ldflags, in which Go's toolchain recorded no commit, says that
// it has no version.
func TestVersionOfPlainBuild(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "snatlab")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", plain, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(plain, "version").Output()
	if err != nil || !strings.HasPrefix(string(out), "snatlab v0.0.0-dev linux/") {
		t.Errorf("version of a plain build: %q, %v", out, err)
	}
}
