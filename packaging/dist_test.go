package packaging

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	distDir = flag.String("dist", "", "the `folder` of `make dist`, whose packages are installed; without it these tests are skipped")
	rootDir = flag.String("root", "", "a `folder` for the Debian system in which they are installed, which is kept; by default one in /var/tmp, which is removed")
)

// needDist skips the tests of `make test-dist` in other runs.
func needDist(t *testing.T) {
	t.Helper()
	if *distDir == "" {
		t.Skip("takes minutes and needs Debian's archive: see make test-dist")
	}
}

// distFile returns the path of the file in dist/ with that ending.
func distFile(t *testing.T, ending string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(*distDir, "*"+ending))
	checkError(t, err)
	if len(found) != 1 {
		t.Fatalf("%s has %d files that end in %s", *distDir, len(found), ending)
	}
	return found[0]
}

// checkSums checks the files of a folder of packages.
func checkSums(t *testing.T, dir string) {
	t.Helper()
	c := exec.Command("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", dir, err, out)
	}
}

// Another clone of the same commit, in another folder, gives the same packages for each
// architecture.
func TestDistReproducible(t *testing.T) {
	needDist(t)
	checkSums(t, *distDir)
	clone := filepath.Join(t.TempDir(), "elsewhere")
	command(t, "git", "clone", "--quiet", "..", clone)
	if status := command(t, "git", "-C", "..", "status", "--porcelain"); status != "" {
		t.Fatalf("commit first: a clone does not have\n%s", status)
	}
	c := exec.Command("make", "-C", clone, "dist")
	c.Env = append(os.Environ(), "TZ=Asia/Tokyo", "MAKEFLAGS=", "MFLAGS=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	checkSums(t, filepath.Join(clone, "dist"))
	if got, want := readFile(t, filepath.Join(clone, "dist", "SHA256SUMS")), readFile(t, filepath.Join(*distDir, "SHA256SUMS")); got != want {
		t.Errorf("sums of the clone:\n%s\nwant:\n%s", got, want)
	}
}

// The Debian package is installed in a fresh system, used there, and removed.
func TestDistInstalled(t *testing.T) {
	needDist(t)
	if _, err := exec.LookPath("debootstrap"); err != nil || os.Getuid() != 0 {
		t.Fatal("needs root and debootstrap (apt-get install debootstrap)")
	}
	root := *rootDir
	if root == "" {
		dir, err := os.MkdirTemp("/var/tmp", "snatlab-dist")
		checkError(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		root = filepath.Join(dir, "root")
	}
	m := newMachine(t, root)
	m.put(distFile(t, "_amd64.deb"), "tmp/snatlab.deb")
	m.do(rootUser, "dpkg --purge snatlab 2>/dev/null; dpkg --install /tmp/snatlab.deb; dpkg --verify snatlab")
	for _, part := range []struct {
		name string
		test func(machine)
	}{
		{"manual", checkManual},
		{"completions", checkCompletions},
		{"units", checkUnits},
		{"quickstart", checkQuickstart},
		{"rpm", checkRPM},
		{"arm64", checkARM64},
		{"journal_keeps_package", checkJournalKeeps},
		{"removal", checkRemoval},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(machine{t, m.root}) })
	}
}

func checkManual(m machine) {
	for page, want := range map[string]string{"snatlab": "snatlab-run(1)", "snatlab-nightly": "--known", "snatlab-history-prune": "--dry-run"} {
		if text := m.do(ordinaryUser, "MANWIDTH=500 man "+page); !strings.Contains(text, want) {
			m.t.Errorf("man %s has no %s:\n%s", page, want, text)
		}
	}
}

// zshScript completes a command line in an interactive zsh, as its user does.
const zshScript = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=READY; autoload -Uz compinit; compinit -u -D"
zpty -r -m shell out "*READY*READY*"
zpty -w -n shell "snatlab run --dri"$'\t'
zpty -r -m shell out "*--driver*" && print -r -- --driver
zpty -d shell`

// Each shell finds the completions where the package put them, and completes by them.
func checkCompletions(m machine) {
	for shell, script := range map[string]string{
		"bash": `set +eu; . /usr/share/bash-completion/bash_completion; _completion_loader snatlab
			COMP_WORDS=(snatlab run --dri) COMP_CWORD=2 COMP_LINE="snatlab run --dri" COMP_POINT=17
			$(complete -p snatlab | sed "s/.*-F \([^ ]*\).*/\1/") 2>/dev/null; echo "${COMPREPLY[@]}"`,
		"fish": `fish -c 'complete -C "snatlab run --dri"' | cut -f 1`,
		"zsh":  "timeout 60 zsh -f <<'END'" + zshScript + "\nEND\n",
	} {
		if got := strings.TrimSpace(m.do(ordinaryUser, script)); got != "--driver" {
			m.t.Errorf("%s completes --dri to %q", shell, got)
		}
	}
}

// systemd accepts the units with their manual page, and none is enabled.
func checkUnits(m machine) {
	if out := m.do(rootUser, "systemd-analyze verify snatlab-nightly.timer snatlab-nightly.service 2>&1"); out != "" {
		m.t.Errorf("systemd-analyze said: %s", out)
	}
	if got := m.do(rootUser, "systemctl is-enabled snatlab-nightly.timer || true"); got != "disabled\n" {
		m.t.Errorf("the timer is %s", got)
	}
}

// An ordinary user runs the first scenario. What the run finds about this machine is not
// tested here: 1 and 4 are in order.
func checkQuickstart(m machine) {
	out := m.do(ordinaryUser, "cd; rm -rf first; code=0; snatlab run quickstart --out first || code=$?; case $code in 0 | 1 | 4) ls first ;; *) exit $code ;; esac")
	for _, want := range []string{"arm ", "report.html\n", "result.json\n"} {
		if !strings.Contains(out, want) {
			m.t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	m.t.Log(out)
}

// rpm reads its package.
func checkRPM(m machine) {
	m.put(distFile(m.t, ".x86_64.rpm"), "tmp/snatlab.rpm")
	m.do(rootUser, "rpm --checksig --nosignature /tmp/snatlab.rpm")
	info := m.do(rootUser, "rpm -qpi /tmp/snatlab.rpm")
	for _, want := range []string{"Name        : snatlab\n", "License     : Apache-2.0\n", "Architecture: x86_64\n", "Build Host  : snatlab.invalid\n"} {
		if !strings.Contains(info, want) {
			m.t.Errorf("rpm -qpi:\n%s\nwant: %s", info, want)
		}
	}
	files := m.do(rootUser, "rpm -qpl /tmp/snatlab.rpm")
	for _, want := range []string{"/usr/bin/snatlab", "/usr/lib/systemd/system/snatlab-nightly.timer", "/usr/share/man/man1/snatlab.1.gz", "/usr/share/zsh/site-functions/_snatlab"} {
		if !strings.Contains(files, want+"\n") {
			m.t.Errorf("rpm -qpl:\n%s\nwant: %s", files, want)
		}
	}
	for _, folder := range []string{"/usr", "/usr/bin", "/etc/default"} { // of the package filesystem
		if strings.Contains("\n"+files, "\n"+folder+"\n") {
			m.t.Errorf("the package owns %s", folder)
		}
	}
	if needs := m.do(rootUser, "rpm -qp --requires /tmp/snatlab.rpm | grep -v ^rpmlib || true"); needs != "" && needs != "/bin/sh\n" {
		m.t.Errorf("requires: %s", needs)
	}
}

// The program for arm64 prints under QEMU's emulation of a user's process what that for
// this machine prints. A lab is not tried: QEMU knows no netlink of netfilter, and refuses
// to make a user namespace.
func checkARM64(m machine) {
	m.put(distFile(m.t, "_arm64.deb"), "tmp/arm64.deb")
	m.do(rootUser, "rm -rf /tmp/arm64; dpkg-deb --extract /tmp/arm64.deb /tmp/arm64")
	m.put("../harness/report/testdata/docker.json", "tmp/result.json")
	const emulated = "qemu-aarch64-static /tmp/arm64/usr/bin/snatlab "
	if got := m.do(ordinaryUser, emulated+"version"); !strings.Contains(got, " linux/arm64 ") {
		m.t.Errorf("version: %s", got)
	}
	for _, args := range []string{"docs nightly", "schema", "explain", "plan mitigations", "run --help", "report --full /tmp/result.json", "report --html /tmp/result.json"} {
		if got, want := m.do(ordinaryUser, emulated+args), m.do(ordinaryUser, "snatlab "+args); got != want {
			m.t.Errorf("snatlab %s printed for arm64:\n%s\nwant:\n%s", args, got, want)
		}
	}
}

// A package whose program is needed to restore the host is not removed.
func checkJournalKeeps(m machine) {
	out := m.do(rootUser, "mkdir /run/snatlab; touch /run/snatlab/a.journal; ! dpkg --remove snatlab 2>&1; dpkg --verify snatlab")
	if !strings.Contains(out, "snatlab is not removed: /run/snatlab has the journal of a run") {
		m.t.Errorf("dpkg said: %s", out)
	}
}

// A removed package leaves the changed settings and the results, a purged one the
// results, and the timer is no longer enabled.
func checkRemoval(m machine) {
	m.do(rootUser, "mkdir -p /var/lib/snatlab; systemctl enable snatlab-nightly.timer; echo '# mine' >>/etc/default/snatlab-nightly; dpkg --remove snatlab")
	const list = "find / -xdev -name '*snatlab*' -not -path '/tmp/*' -not -path '/var/lib/dpkg/*' -not -path '/var/cache/*' -not -path '/home/*' -not -path '/proc/*' | sort"
	if left := m.do(rootUser, list); left != "/etc/default/snatlab-nightly\n/etc/snatlab\n/var/lib/snatlab\n" {
		m.t.Errorf("left after the removal:\n%s", left)
	}
	out := m.do(rootUser, "dpkg --purge snatlab")
	if left := m.do(rootUser, list); left != "/var/lib/snatlab\n" || !strings.Contains(out, "the results in /var/lib/snatlab are kept") {
		m.t.Errorf("left after the purge:\n%s\n%s", left, out)
	}
	m.do(rootUser, "rmdir /var/lib/snatlab")
}
