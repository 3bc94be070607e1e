// Package packaging holds what makes snatlab run every night: units of systemd,
// a line for cron, a workflow, alert rules. docs/nightly.md explains them.
package packaging

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"

	"snatlab/harness/history/regression"
	"snatlab/harness/report/export"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// installed is the machine as it would be: the units in it, and a program where
// they look for it.
func installed(t *testing.T) (root string, units []string) {
	t.Helper()
	root = t.TempDir()
	for _, unit := range []string{"snatlab-nightly.service", "snatlab-nightly.timer"} {
		path := filepath.Join(root, "etc/systemd/system", unit)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(read(t, unit)), 0o644))
		units = append(units, unit)
	}
	must(t, os.MkdirAll(filepath.Join(root, "usr/local/bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "usr/local/bin/snatlab"), []byte("#!/bin/sh\n"), 0o755))
	return root, units
}

// needAnalyze skips where there is no systemd-analyze; with CI=true that is a
// failure.
func needAnalyze(t *testing.T) {
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

// What a unit of systemd's own needs is not there, and not looked at.
func TestTheUnitsAreUnderstood(t *testing.T) {
	needAnalyze(t)
	root, units := installed(t)
	for _, unit := range units {
		c := exec.Command("systemd-analyze", "verify", "--root="+root, "--recursive-errors=no", unit)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

// That the check above sees what is wrong.
func TestAUnitWithAMistakeIsNotUnderstood(t *testing.T) {
	needAnalyze(t)
	root, units := installed(t)
	path := filepath.Join(root, "etc/systemd/system", units[0])
	must(t, os.WriteFile(path, []byte(strings.Replace(read(t, path), "ProtectSystem=strict", "ProtectSystem=srict", 1)), 0o644))
	c := exec.Command("systemd-analyze", "verify", "--root="+root, "--recursive-errors=no", units[0])
	if out, _ := c.CombinedOutput(); !strings.Contains(string(out), "srict") {
		t.Errorf("said: %s", out)
	}
}

// A service whose runtime folder went with it would take the journal along that
// `snatlab cleanup` needs.
func TestTheJournalOutlivesTheService(t *testing.T) {
	text := read(t, "snatlab-nightly.service")
	for _, line := range []string{"RuntimeDirectory=snatlab", "RuntimeDirectoryPreserve=yes", "KillMode=mixed"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
}

// job is a line of a crontab in /etc/cron.d: five fields, a user, a command. %
// would be a line break.
var job = regexp.MustCompile(`^[\d*]+ [\d*]+ [\d*]+ [\d*]+ [\d*]+  root  ([^%]+)$`)

func TestCronLinesAreCommands(t *testing.T) {
	jobs := 0
	for line := range strings.Lines(read(t, "snatlab-nightly.cron")) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' || regexp.MustCompile(`^[A-Z]+=`).MatchString(line) {
			continue
		}
		found := job.FindStringSubmatch(line)
		if found == nil {
			t.Errorf("no line of cron's: %s", line)
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

// The mail of a night that failed has its screen and its exit code, and there is
// none of one that is all right.
func TestCronMailsOnlyWhatIsNotRight(t *testing.T) {
	line := regexp.MustCompile(`(?m)root  (screen=.*)$`).FindStringSubmatch(read(t, "snatlab-nightly.cron"))[1]
	bin := t.TempDir()
	mail := func(program string) string {
		must(t, os.WriteFile(filepath.Join(bin, "snatlab"), []byte("#!/bin/sh\n"+program+"\n"), 0o755))
		c := exec.Command("sh", "-c", line)
		c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
		out, err := c.CombinedOutput()
		must(t, err)
		return string(out)
	}
	if got := mail("echo '1 ok'"); got != "" {
		t.Errorf("mailed: %s", got)
	}
	if got := mail("echo '1 regression'; exit 1"); got != "exit code 1\n1 regression\n" {
		t.Errorf("mailed: %s", got)
	}
}

// What was thinned goes to the log, and what went wrong into a mail.
func TestCronLogsWhatIsThinned(t *testing.T) {
	line := regexp.MustCompile(`(?m)root  (snatlab history prune.*)$`).FindStringSubmatch(read(t, "snatlab-nightly.cron"))[1]
	bin := t.TempDir()
	logged := filepath.Join(bin, "logged")
	for name, program := range map[string]string{"snatlab": "echo removed one; echo no >&2", "logger": `{ echo "$@"; cat; } >` + logged} {
		must(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+program+"\n"), 0o755))
	}
	c := exec.Command("sh", "-c", line)
	c.Env = []string{"PATH=" + bin + ":/usr/bin:/bin"}
	out, err := c.CombinedOutput()
	must(t, err)
	if text := read(t, logged); text != "-t snatlab-nightly\nremoved one\n" || string(out) != "no\n" {
		t.Errorf("logged: %s\nmailed: %s", text, out)
	}
}

func TestTheKnownFailuresAreRead(t *testing.T) {
	known, err := regression.ReadKnown("known-failures.yaml")
	if err != nil || len(known) != 1 || known[0].Until.After(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v: the example must excuse nothing", known, err)
	}
}

// strictly reads YAML into a type that has all its keys.
func strictly(t *testing.T, path string, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(t, path)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// metrics are the names that a night writes.
func metrics(t *testing.T) (names []string) {
	t.Helper()
	r, err := resultfile.ReadResult("../harness/report/testdata/docker.json")
	must(t, err)
	var out bytes.Buffer
	must(t, export.WriteMetrics(&out, &result.Night{Runs: []result.Judged{{Scenario: "s", Driver: "docker", Outcome: result.OutcomeOK, Result: r}}}))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&out)
	must(t, err)
	for name := range families {
		names = append(names, name)
	}
	return names
}

func TestAlertsAreAboutMetricsThatThereAre(t *testing.T) {
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	strictly(t, "snatlab-alerts.yaml", &file)
	there := metrics(t)
	for _, rule := range file.Groups[0].Rules {
		named := regexp.MustCompile(`snatlab_\w+`).FindAllString(rule.Expr, -1)
		if len(named) == 0 || rule.Annotations["summary"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s: %s", rule.Alert, rule.Expr)
		}
		for _, name := range named {
			if !slices.Contains(there, name) {
				t.Errorf("%s: no metric %s", rule.Alert, name)
			}
		}
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Errorf("%d groups", len(file.Groups))
	}
}

// The nights and what is alerted after them are in the file.
func TestAlertsAreRaisedByTheNightsTheyAreFor(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("needs promtool: apt-get install prometheus")
	}
	if out, err := exec.Command("promtool", "test", "rules", "testdata/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// flag is an option of snatlab's on a command line or in prose.
var flag = regexp.MustCompile(`--[a-z][a-z-]*`)

// step is one of a job of GitHub's.
type step struct {
	Name, Uses, Run, Shell, If string
	With                       map[string]any
}

func TestTheWorkflowIsAJobOfTheNightly(t *testing.T) {
	var file struct {
		Name        string
		On          any
		Permissions map[string]string
		Concurrency map[string]any
		Jobs        map[string]struct {
			RunsOn  []string `yaml:"runs-on"`
			Timeout int      `yaml:"timeout-minutes"`
			Steps   []step
		}
	}
	strictly(t, "github-nightly.yaml", &file)
	i := slices.IndexFunc(file.Jobs["nightly"].Steps, func(s step) bool { return s.Name == "Nightly" })
	if i < 0 {
		t.Fatal("there is no step Nightly")
	}
	nightly := file.Jobs["nightly"].Steps[i]
	if nightly.Shell != "bash" { // else its exit code would be tee's
		t.Errorf("shell %q", nightly.Shell)
	}
	if got := flag.FindAllString(nightly.Run, -1); !slices.Equal(got, []string{"--scenarios", "--known", "--junit", "--driver"}) {
		t.Errorf("options %q", got)
	}
}

const manual = "../docs/nightly.md"

func TestTheManualNamesEveryMetric(t *testing.T) {
	text := read(t, manual)
	for _, name := range metrics(t) {
		full := strings.Contains(text, "`"+name)
		for _, start := range []string{"snatlab_run", "snatlab_nightly", "snatlab_store"} { // lists of them share a row
			if rest, ok := strings.CutPrefix(name, start); ok && strings.Contains(text, "`"+rest+"`") {
				full = true
			}
		}
		if !full {
			t.Errorf("%s is not in the manual", name)
		}
	}
}

func TestTheManualsKnownFailureIsRead(t *testing.T) {
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(read(t, manual))
	if example == nil {
		t.Fatal("there is no example")
	}
	if _, err := regression.ParseKnown("nightly.md", []byte(example[1])); err != nil {
		t.Error(err)
	}
}
