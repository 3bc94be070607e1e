// Package packaging holds the files that make snatlab run every night: units of
// systemd, a crontab, a workflow, alert rules, a dashboard. docs/nightly.md and
// docs/monitoring.md explain them. Its tests also hold `make install` and the packages to
// what they promise.
package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"snatlab/harness/history/regression"
)

func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	checkError(t, err)
	return string(text)
}

// installUnits makes the root of a machine on which snatlab is installed.
func installUnits(t *testing.T) (root string, units []string) {
	t.Helper()
	return install(t), []string{"snatlab-nightly.service", "snatlab-nightly.timer"}
}

// requireAnalyze skips the test without systemd-analyze. With CI=true it fails the
// test.
func requireAnalyze(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs systemd-analyze; make check leaves it out")
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs systemd-analyze")
	}
	t.Skip("needs systemd-analyze: apt-get install systemd")
}

// systemd accepts the units. Units that they need are missing here, and are not
// checked.
func TestUnits(t *testing.T) {
	requireAnalyze(t)
	root, units := installUnits(t)
	for _, unit := range units {
		c := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+root, "--recursive-errors=no", unit)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// The check above finds a mistake.
func TestUnitMistake(t *testing.T) {
	requireAnalyze(t)
	root, units := installUnits(t)
	path := filepath.Join(root, "usr/local/lib/systemd/system", units[0])
	checkError(t, os.WriteFile(path, []byte(strings.Replace(readFile(t, path), "ProtectSystem=strict", "ProtectSystem=srict", 1)), 0o644))
	c := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+root, "--recursive-errors=no", units[0])
	if out, _ := c.CombinedOutput(); !strings.Contains(string(out), "srict") {
		t.Errorf("said: %s", out)
	}
}

// `snatlab cleanup` needs the journal, so the runtime folder must outlive the
// service.
func TestJournalOutlivesUnit(t *testing.T) {
	t.Parallel()
	text := readFile(t, "snatlab-nightly.service")
	for _, line := range []string{"RuntimeDirectory=snatlab", "RuntimeDirectoryPreserve=yes", "KillMode=mixed"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}

// cronJob matches a line of a crontab in /etc/cron.d: five fields, a user, a
// command. A % would be a line break.
var cronJob = regexp.MustCompile(`^[\d*]+ [\d*]+ [\d*]+ [\d*]+ [\d*]+  root  ([^%]+)$`)

// Each line of the crontab is a job whose command has the syntax of the shell.
func TestCronLines(t *testing.T) {
	t.Parallel()
	jobs := 0
	for line := range strings.Lines(readFile(t, "snatlab-nightly.cron")) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' || regexp.MustCompile(`^[A-Z]+=`).MatchString(line) {
			continue
		}
		found := cronJob.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("not a line of a crontab: %s", line)
			continue
		}
		if out, err := exec.Command("sh", "-n", "-c", found[1]).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		jobs++
	}
	if jobs != 2 {
		t.Errorf("%d jobs", jobs)
	}
}

// The mail of a night that failed has the output and the exit code. A good
// night sends no mail.
func TestCronMail(t *testing.T) {
	line := regexp.MustCompile(`(?m)root  (screen=.*)$`).FindStringSubmatch(readFile(t, "snatlab-nightly.cron"))[1]
	bin := t.TempDir()
	mail := func(program string) string {
		checkError(t, os.WriteFile(filepath.Join(bin, "snatlab"), []byte("#!/bin/sh\n"+program+"\n"), 0o755))
		c := exec.Command("sh", "-c", line)
		c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		out, err := c.CombinedOutput()
		checkError(t, err)
		return string(out)
	}
	if got := mail("echo '1 ok'"); got != "" {
		t.Errorf("mailed: %s", got)
	}
	if got := mail("echo '1 regression'; exit 1"); got != "exit code 1\n1 regression\n" {
		t.Errorf("mailed: %s", got)
	}
}

// Removed results are logged, and errors are mailed.
func TestCronLog(t *testing.T) {
	line := regexp.MustCompile(`(?m)root  (snatlab history prune.*)$`).FindStringSubmatch(readFile(t, "snatlab-nightly.cron"))[1]
	bin := t.TempDir()
	logged := filepath.Join(bin, "logged")
	for name, program := range map[string]string{"snatlab": "echo removed one; echo no >&2", "logger": `{ echo "$@"; cat; } >` + logged} {
		checkError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+program+"\n"), 0o755))
	}
	c := exec.Command("sh", "-c", line)
	c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
	out, err := c.CombinedOutput()
	checkError(t, err)
	if text := readFile(t, logged); text != "-t snatlab-nightly\nremoved one\n" || string(out) != "no\n" {
		t.Errorf("logged: %s\nmailed: %s", text, out)
	}
}

// The example of known failures can be read and excuses nothing.
func TestKnownFailures(t *testing.T) {
	t.Parallel()
	known, err := regression.ReadKnown("known-failures.yaml")
	if err != nil || len(known) != 1 || known[0].Until.After(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v: the example must excuse nothing", known, err)
	}
}

// decodeStrict decodes a YAML file into a type that has all its keys.
func decodeStrict(t *testing.T, path string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(readFile(t, path)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// option matches an option of snatlab on a command line or in prose.
var option = regexp.MustCompile(`--[a-z][a-z-]*`)

// workflowStep is a step of a job of GitHub.
type workflowStep struct {
	Name, Uses, Run, Shell, If string
	With                       map[string]any
}

// The workflow builds the program before it runs it, names scenarios that exist, and
// its exit code is that of snatlab.
func TestWorkflow(t *testing.T) {
	t.Parallel()
	var file struct {
		Name        string
		On          any
		Permissions map[string]string
		Concurrency map[string]any
		Jobs        map[string]struct {
			RunsOn  []string `yaml:"runs-on"`
			Timeout int      `yaml:"timeout-minutes"`
			Steps   []workflowStep
		}
	}
	decodeStrict(t, "github-nightly.yaml", &file)
	steps := file.Jobs["nightly"].Steps
	i := slices.IndexFunc(steps, func(s workflowStep) bool { return s.Name == "Nightly" })
	if i < 0 {
		t.Fatal("there is no step Nightly")
	}
	nightly := steps[i]
	run := slices.IndexFunc(steps, func(s workflowStep) bool { return strings.Contains(s.Run, "snatlab ") })
	if build := slices.IndexFunc(steps, func(s workflowStep) bool { return s.Run == "make build" }); build < 0 || build > run {
		t.Errorf("step %d builds, and step %d runs", build, run)
	}
	files := regexp.MustCompile(`\S+\.yaml`).FindAllString(nightly.Run, -1)
	if len(files) == 0 {
		t.Error("no scenario is named")
	}
	for _, f := range files {
		if _, err := os.Stat(filepath.Join("..", f)); err != nil {
			t.Error(err)
		}
	}
	if nightly.Shell != "bash" { // else its exit code would be tee's
		t.Errorf("shell %q", nightly.Shell)
	}
	if got := option.FindAllString(nightly.Run, -1); !slices.Equal(got, []string{"--junit", "--driver"}) {
		t.Errorf("options %q", got)
	}
}

const manual = "../docs/nightly.md"

// The known failure in the manual can be read.
func TestManualKnownFailure(t *testing.T) {
	t.Parallel()
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(readFile(t, manual))
	if example == nil {
		t.Fatal("there is no example")
	}
	if _, err := regression.ParseKnown("nightly.md", []byte(example[1])); err != nil {
		t.Error(err)
	}
}
