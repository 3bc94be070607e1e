package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// When Go's runtime cannot continue, it ends the program with status 2. In this program
// status 2 is bad usage, after which a night or a CI job is not tried again.
func TestRuntimeFailure(t *testing.T) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip(err)
	}
	t.Run("ends by SIGABRT", func(t *testing.T) {
		c := exec.Command("prlimit", "--core=0", "--", binary, "serve", "--listen", "0.0.0.0:20000", "--ports", "1")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET} // its own network
		out, err := c.StdoutPipe()
		must(t, err)
		needNamespaces(t)
		p := startCommand(t, c)
		_, err = bufio.NewReader(out).ReadString('\n') // it is serving
		must(t, err)
		must(t, p.Process.Signal(unix.SIGQUIT)) // not caught: the runtime ends the program
		if code := p.wait(t); code != -int(unix.SIGABRT) || !strings.Contains(p.said(t), "SIGQUIT") {
			t.Errorf("exit code %d\n%s", code, p.said(t))
		}
	})
	// The point where the runtime fails depends on the number of threads, and on chance.
	t.Run("has status 2 only if nothing has begun", func(t *testing.T) {
		needNamespaces(t)
		home, err := os.MkdirTemp("", "snatlab-user")
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(home) })
		must(t, os.Chmod(home, 0o777))
		scenario := filepath.Join(home, "scenario.yaml")
		must(t, os.WriteFile(scenario, []byte("driver: netns"+once), 0o644))
		for threads := 4; threads <= 26; threads++ {
			n := strconv.Itoa(threads)
			c := exec.Command("prlimit", "--nproc="+n, "--core=0", "--", binary, "run", scenario, "--out", filepath.Join(home, n))
			const user = 65531 // no other process belongs to this user
			c.Dir, c.SysProcAttr = home, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
			p := startCommand(t, c)
			code := p.wait(t)
			_, err := os.Stat(filepath.Join(home, n))
			if begun := err == nil; code == exitUsage && (begun || !strings.Contains(p.said(t), "runtime: ")) {
				t.Errorf("%d threads: exit code %d, begun: %v\n%s", threads, code, begun, p.said(t))
			}
		}
	})
}
