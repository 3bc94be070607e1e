package page

import (
	"io"

	"snatlab/harness/format"
	"snatlab/harness/report"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// runPage is what report.html shows of a run, from top to bottom.
type runPage struct {
	Title     string
	Answer    wording.RunAnswer
	Expected  []expectation
	Word      string // PASS or FAIL, of the expectations; else empty
	Facts     []string
	Remaining *stripChart
	Rates     *stripChart
	Trials    []dotChart
	Control   bool   // the trials have one
	Thinned   string // how the dots of a long run were chosen
	Latency   []curveChart
	Quantiles table
	Ports     []curveChart // source ports at the server
	PortRows  table
	Arms      table
	Notes     []string // warnings
	MoreNotes int
	Rules     []rule
	CPUs      []table
	Evidence  []string
	TrialRows table
	Machine   table
	Method    string
	Lookups   string // what became of the queries of look-ups; empty without them
}

type expectation struct{ Arm, Claim, Outcome, Found, Class string }

type rule struct {
	Name  string
	Text  string
	Lines []string
}

// notesMax bounds the warnings of a page. A trial may have two.
const notesMax = 200

// WriteRun writes report.html: the answer of a run, its charts, and all that they are
// made of.
func WriteRun(w io.Writer, r *result.Result) error {
	p := runPage{
		Title: r.Scenario.Name, Answer: wording.Answer(r), Facts: report.Facts(r),
		Remaining: drawRemaining(r), Rates: drawRates(r), Control: result.HasControl(r.Arms),
		Arms: armTable(r), CPUs: cpuTables(r), Evidence: report.EvidenceTexts(r.Arms),
		Machine: table{Caption: "The machine and the lab", Head: []string{"fact", "value"}, Rows: report.EnvironmentRows(r)},
		Method:  wording.Method, Lookups: wording.DescribeLookups(r),
	}
	if hasOldComparisons(r) {
		p.Method = wording.JudgedByMedians
	}
	p.Trials, p.Thinned = drawTrials(r)
	p.Latency, p.Quantiles = drawLatencies(r)
	p.Ports, p.PortRows = drawSourcePorts(r)
	p.Notes = r.Warnings[:min(len(r.Warnings), notesMax)]
	p.MoreNotes = len(r.Warnings) - len(p.Notes)
	p.addExpectations(r)
	p.addRules(r)
	head, rows := report.TrialRows(r)
	p.TrialRows = table{Caption: "Every trial", Head: head, Rows: rows, Folded: len(rows) > 40}.limitRows()
	return write(w, "run.html", p)
}

// hasOldComparisons reports whether an earlier version judged the run, by medians.
func hasOldComparisons(r *result.Result) bool {
	for _, c := range r.Comparisons {
		if c.Method != "" {
			return false
		}
	}
	return len(r.Comparisons) > 0
}

func (p *runPage) addExpectations(r *result.Result) {
	for _, e := range r.Expected {
		class := ""
		switch {
		case e.Held == nil:
		case *e.Held:
			class = "held"
		default:
			class = "missed"
		}
		p.Expected = append(p.Expected, expectation{e.Arm, wording.Claim(e), wording.ExpectationWord(r, e), e.Found, class})
	}
	switch {
	case len(r.Expected) == 0:
	case r.Verdict == result.Pass:
		p.Word = "PASS"
	case r.Verdict == result.Fail:
		p.Word = "FAIL"
	}
}

func (p *runPage) addRules(r *result.Result) {
	for _, a := range r.Arms {
		p.Rules = append(p.Rules, rule{a.Name, format.OrNone(a.Rule), report.ArmLines(a)})
	}
	if text := r.Environment.ControlRule; text != "" {
		p.Rules = append(p.Rules, rule{Name: "(control)", Text: text})
	}
}

// armTable returns the figures of each arm, one in each row.
func armTable(r *result.Result) table {
	t := table{Caption: "The arms in figures",
		Head: []string{"arm", "requests", "failed", "lost to the race", "unexplained", "control lost", "failure rate (95 %)", "remaining (99.9 %)", "p (Holm)", "p50", "p99", "verdict"},
		Note: "Failure rate: the median over the trials. Remaining: the share of the failures that remains under the arm."}
	for i, a := range r.Arms {
		n, control := a.SumTotals(), a.SumControl()
		c := findComparison(r, a.Name)
		verdict, p := string(c.Verdict), format.Optional(c.PHolm, format.PValue)
		if i == 0 {
			verdict = "baseline"
		}
		t.Rows = append(t.Rows, []string{a.Name, thousands(n.Requests), thousands(n.Failed), thousands(n.Race), thousands(n.Unexplained), lostOf(control),
			withInterval(a.FailureRate), format.OrNone(remainingText(c.Remaining)), p,
			format.Micros(a.LatencyP50.Median), format.Micros(a.LatencyP99.Median), format.OrNone(verdict)})
	}
	return t
}

// lostOf prints "1,576 of 3,600".
func lostOf(n result.Totals) string {
	if n.Requests == 0 {
		return format.None
	}
	return thousands(n.Failed) + " of " + thousands(n.Requests)
}

// withInterval prints "43.4 % (41.2 to 45.0 %)".
func withInterval(s result.Spread) string {
	text := format.Percent(s.Median)
	if s.Low != nil && s.High != nil {
		text += " (" + format.FromTo(s.Low, s.High, format.Percent) + ")"
	}
	return text
}

// remainingText prints "0 % (0 to 0.52 %)"; empty where there is no share. An upper end
// beyond the axis bounds nothing: few trials that scatter have one of many digits.
func remainingText(share *result.Remaining) string {
	switch {
	case share == nil:
		return ""
	case share.DecisiveHigh != nil && *share.DecisiveHigh <= mostRemaining:
		return wording.Remaining(share) + " (" + wording.RemainingInterval(share) + ")"
	case share.DecisiveLow > 0:
		return wording.Remaining(share) + " (" + format.Between(share.DecisiveLow, nil) + ")"
	}
	return wording.Remaining(share) + " (the interval bounds nothing)"
}

// findComparison returns the comparison of an arm; an empty one where there is none.
func findComparison(r *result.Result, arm string) result.Comparison {
	for _, c := range r.Comparisons {
		if c.Arm == arm {
			return c
		}
	}
	return result.Comparison{}
}
