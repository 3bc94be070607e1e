package packaging

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"snatlab/harness/report/export"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// runTool runs a program of tools/monitoring, which is a module of its own.
func runTool(t *testing.T, name string, input []byte) []byte {
	t.Helper()
	c := exec.Command("go", "run", "-C", "../tools/monitoring", "./"+name)
	c.Stdin = bytes.NewReader(input)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, said.String())
	}
	return out
}

// asked is the time at which the metrics are asked for.
var asked = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// answer is what Prometheus makes of an expression.
type answer struct {
	Error  string
	Asked  map[string][]string // labels, by metric
	Series []map[string]string
}

// ask asks for expressions in the metrics of a night.
func ask(t *testing.T, n *result.Night, expressions []string) []answer {
	t.Helper()
	var metrics bytes.Buffer
	checkError(t, export.WriteMetrics(&metrics, n))
	question, err := json.Marshal(map[string]any{"metrics": metrics.String(), "expressions": expressions, "time": asked})
	checkError(t, err)
	var answers []answer
	checkError(t, json.Unmarshal(runTool(t, "ask", question), &answers))
	for i, a := range answers {
		if a.Error != "" {
			t.Errorf("%s: %s", expressions[i], a.Error)
		}
		checkAsked(t, expressions[i], a)
	}
	return answers
}

// checkAsked checks that a night writes what an expression asks for.
func checkAsked(t *testing.T, expression string, a answer) {
	t.Helper()
	written := metricLabels()
	if len(a.Asked) == 0 {
		t.Errorf("%s asks for no metric", expression)
	}
	for metric, labels := range a.Asked {
		if written[metric] == nil {
			t.Errorf("%s: a night writes no %s", expression, metric)
		}
		for _, l := range labels {
			if !slices.Contains(written[metric], l) {
				t.Errorf("%s: %s has no label %s", expression, metric, l)
			}
		}
	}
}

// nightRun returns a scenario of a night with a recorded result, which has a control.
func nightRun(t *testing.T, name string, o result.Outcome, findings ...result.Finding) result.NightRun {
	t.Helper()
	r, err := resultfile.ReadResult("../harness/report/testdata/control.json")
	checkError(t, err)
	return result.NightRun{
		Scenario: name, Driver: r.Environment.Driver, Outcome: o, Result: r, Findings: findings,
		Shares: []result.NightShare{{Arm: r.Arms[1].Name, Allowed: new(0.01)}}, Machine: &result.MachineState{Nights: 7},
	}
}

// goodNight returns a night that ended an hour ago, without a fault.
func goodNight(t *testing.T) *result.Night {
	t.Helper()
	return &result.Night{
		Version: "v1", Node: "n", Kernel: "6.18.44", KernelBefore: "6.12.107", Started: asked.Add(-time.Hour),
		Runs: []result.NightRun{nightRun(t, "s", result.OutcomeOK)},
	}
}

// badNight returns a night that ended three days ago, with every fault.
func badNight(t *testing.T) *result.Night {
	t.Helper()
	n := goodNight(t)
	n.Started, n.Incomplete, n.Store.Error = asked.AddDate(0, 0, -3), "interrupted", "no space left on device"
	n.Runs = []result.NightRun{
		nightRun(t, "regressed", result.OutcomeRegression, result.Finding{Kind: result.NewCause, Arm: "random-fully"}),
		nightRun(t, "failed", result.OutcomeFail),
		nightRun(t, "undecided", result.OutcomeInconclusive),
		{Scenario: "torn", Outcome: result.OutcomeError},
	}
	return n
}

// labelInText matches a label that an annotation of an alert names.
var labelInText = regexp.MustCompile(`\$labels\.(\w+)`)

// A bad night raises every alert, with the labels that its text names. A good night
// raises none.
func TestAlertsOfNights(t *testing.T) {
	t.Parallel()
	rules := readAlerts(t)
	var expressions []string
	for _, r := range rules {
		expressions = append(expressions, r.Expr)
	}
	for i, a := range ask(t, goodNight(t), expressions) {
		if len(a.Series) > 0 {
			t.Errorf("%s is raised by a good night: %v", rules[i].Alert, a.Series)
		}
	}
	for i, a := range ask(t, badNight(t), expressions) {
		if len(a.Series) == 0 {
			t.Errorf("%s is not raised by a bad night", rules[i].Alert)
		}
		for _, name := range labelInText.FindAllStringSubmatch(rules[i].Annotations["summary"]+rules[i].Annotations["description"], -1) {
			checkLabel(t, rules[i].Alert, name[1], a.Series)
		}
	}
}

// checkLabel checks that every series has a label.
func checkLabel(t *testing.T, about, label string, series []map[string]string) {
	t.Helper()
	for _, s := range series {
		if s[label] == "" {
			t.Errorf("%s: a series has no label %s: %v", about, label, s)
			return
		}
	}
}

// dashboardFile is the dashboard that users import.
const dashboardFile = "grafana/snatlab.json"

// The dashboard in packaging/ is the one that its program prints.
func TestDashboardFile(t *testing.T) {
	t.Parallel()
	if got := runTool(t, "dashboard", nil); string(got) != readFile(t, dashboardFile) {
		t.Error("run: go run -C tools/monitoring ./dashboard >packaging/grafana/snatlab.json")
	}
}

// query is a query of the dashboard.
type query struct{ about, expr, legend string }

// dashboard is the part of a dashboard that asks for metrics.
type dashboard struct {
	Panels []struct {
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct {
		List []struct{ Type, Query string }
	}
	Annotations struct {
		List []struct {
			TitleFormat string
			Target      struct{ Expr string }
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	checkError(t, json.Unmarshal([]byte(readFile(t, dashboardFile)), &d))
	return d
}

// panelQueries returns the queries of the panels.
func (d dashboard) panelQueries() (all []query) {
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr, target.LegendFormat})
		}
	}
	return all
}

// labelValues matches the query of a variable.
var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// variableQueries returns the queries of the variables, as queries for series with that
// label.
func (d dashboard) variableQueries() (all []query) {
	for _, v := range d.Templating.List {
		if found := labelValues.FindStringSubmatch(v.Query); found != nil {
			all = append(all, query{v.Query, "count by (" + found[2] + ") (" + found[1] + ")", "{{" + found[2] + "}}"})
		}
	}
	return all
}

// labelInLegend matches a label that a legend names, and variable a variable.
var (
	labelInLegend = regexp.MustCompile(`\{\{(\w+)\}\}`)
	variable      = regexp.MustCompile(`\$\w+`)
)

// Every query of the dashboard has an answer in the metrics of a night, with the labels
// that its legend names, whichever node, scenario and arm is chosen.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	queries := slices.Concat(d.panelQueries(), d.variableQueries())
	if len(d.panelQueries()) < 20 || len(d.variableQueries()) != 3 {
		t.Errorf("%d queries, and %d of variables", len(d.panelQueries()), len(d.variableQueries()))
	}
	var expressions []string
	for _, q := range queries {
		expressions = append(expressions, variable.ReplaceAllString(q.expr, ".*"))
	}
	for i, a := range ask(t, badNight(t), expressions) {
		if len(a.Series) == 0 {
			t.Errorf("%s: nothing answers %s", queries[i].about, queries[i].expr)
		}
		for _, name := range labelInLegend.FindAllStringSubmatch(queries[i].legend, -1) {
			checkLabel(t, queries[i].about, name[1], a.Series)
		}
	}
}

// A variable that a query names exists.
func TestDashboardVariables(t *testing.T) {
	t.Parallel()
	text := readFile(t, dashboardFile)
	defined := map[string]bool{"$__all": true} // that of Grafana for all values
	for _, found := range regexp.MustCompile(`"name": "(node|scenario|arm|datasource)"`).FindAllStringSubmatch(text, -1) {
		defined["$"+found[1]] = true
	}
	for _, name := range variable.FindAllString(strings.ReplaceAll(text, "${datasource}", "$datasource"), -1) {
		if !defined[name] {
			t.Errorf("there is no variable %s in %q", name, slices.Sorted(maps.Keys(defined)))
		}
	}
}

// The annotation marks a kernel that a node did not run the day before; a kernel that it
// runs all the time is not marked.
func TestDashboardAnnotation(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if len(d.Annotations.List) != 1 {
		t.Fatalf("%d annotations", len(d.Annotations.List))
	}
	expr := variable.ReplaceAllString(d.Annotations.List[0].Target.Expr, ".*")
	today, _, _ := strings.Cut(expr, " unless ")
	a := ask(t, goodNight(t), []string{expr, today})
	if len(a[0].Series) != 0 || len(a[1].Series) != 1 {
		t.Errorf("%v, and of today %v", a[0].Series, a[1].Series)
	}
	for _, name := range labelInLegend.FindAllStringSubmatch(d.Annotations.List[0].TitleFormat, -1) {
		checkLabel(t, "annotation", name[1], a[1].Series)
	}
}
