package packaging

import (
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/report/export"
)

// alertRule is a rule of the file of alerts.
type alertRule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func readAlerts(t *testing.T) []alertRule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alertRule
		}
	}
	decodeStrict(t, "snatlab-alerts.yaml", &file)
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("%d groups", len(file.Groups))
	}
	return file.Groups[0].Rules
}

// metricLabels returns the labels of every metric that a night writes.
func metricLabels() map[string][]string {
	labels := map[string][]string{}
	for _, m := range export.DescribeMetrics() {
		labels[m.Name] = m.Labels
	}
	return labels
}

// Every alert has a text and a severity.
func TestAlertTexts(t *testing.T) {
	t.Parallel()
	for _, rule := range readAlerts(t) {
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s: %+v", rule.Alert, rule)
		}
	}
}

// The page of docs about metrics and alerts, and where it is installed.
const (
	monitoringPage = "../docs/monitoring.md"
	installedPage  = "file://@docdir@/docs/monitoring.md"
)

// headings returns the headings of one level in a section of a page.
func headings(t *testing.T, section string) (found []string) {
	t.Helper()
	_, text, ok := strings.Cut(readFile(t, monitoringPage), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("%s has no section %s", monitoringPage, section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, line := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(text, -1) {
		found = append(found, line[1])
	}
	return found
}

// Every alert leads to its section in the manual, and every section is that of an alert.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	var alerts []string
	for _, rule := range readAlerts(t) {
		alerts = append(alerts, rule.Alert)
		// An anchor is the heading in lower case, as renderers of Markdown make it.
		if got, want := rule.Annotations["runbook_url"], installedPage+"#"+strings.ToLower(rule.Alert); got != want {
			t.Errorf("%s leads to %s, not to %s", rule.Alert, got, want)
		}
	}
	if got := headings(t, "Alerts"); !slices.Equal(got, alerts) {
		t.Errorf("the manual has sections for %q, and there are the alerts %q", got, alerts)
	}
}

// The nights, and the alerts that they raise, are in the file.
func TestAlerts(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("needs promtool: apt-get install prometheus")
	}
	if out, err := exec.Command("promtool", "test", "rules", "testdata/alerts.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// metricRow matches a row of a table of metrics: their names, and their labels.
var metricRow = regexp.MustCompile(`(?m)^\| (` + "`snatlab_[^|]*`" + `) \|([^|]*)\|`)

// manualMetrics returns the metrics in the tables of the manual, with their labels. A
// name that begins with _ continues the first name of its row.
func manualMetrics(t *testing.T) map[string][]string {
	t.Helper()
	labels := map[string][]string{}
	for _, row := range metricRow.FindAllStringSubmatch(readFile(t, monitoringPage), -1) {
		of := []string{"node"}
		if list := strings.Trim(row[2], " `"); list != "" {
			of = append(of, strings.Split(list, ",")...)
		}
		var first string
		for name := range strings.SplitSeq(row[1], ", ") {
			name = strings.Trim(name, "`")
			if strings.HasPrefix(name, "_") {
				name = first + name
			} else {
				first = name
			}
			labels[name] = of
		}
	}
	return labels
}

// The manual has every metric that a night writes with its labels, and no other.
func TestManualMetrics(t *testing.T) {
	t.Parallel()
	got, want := manualMetrics(t), metricLabels()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s has the labels %q, and %q in the manual", name, want[name], got[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("only the manual has %q", slices.Sorted(maps.Keys(got)))
	}
}
