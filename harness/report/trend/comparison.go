package trend

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteComparison writes the comparison of runs with earlier ones: both sides, the
// arms side by side, the differences between the environments, the warnings, the
// findings, and the answer last.
func WriteComparison(w io.Writer, c *result.GroupComparison, on layout.Screen) error {
	p := newPage(on)
	p.WriteField("scenario", fmt.Sprintf("%s, hash %s", c.Scenario, c.Hash))
	p.WriteField("old", sideOf(c.Old))
	p.WriteField("new", sideOf(c.New))
	p.WriteField("unit", "a failure rate is that of a "+c.Unit)
	p.WriteLine("")
	p.WriteTable(groupTable(c))
	p.writeDifferences(c.Differs)
	p.WriteFootnotes(c.Warnings[:min(len(c.Warnings), layout.NotesMax)], max(0, len(c.Warnings)-layout.NotesMax), "--json")
	for _, f := range c.Findings {
		label := "REGRESSION  "
		if f.Kind == result.Shift {
			label = "shift       "
		}
		p.WriteHanging(label, f.Text+withP(f.P))
	}
	if len(c.Findings) > 0 {
		p.WriteLine("")
	}
	p.WriteHanging("", wording.ComparisonHeadline(c)+layout.Marks(numberOf(c.Warnings))+": "+c.Summary)
	_, err := io.WriteString(w, p.String())
	return err
}

// numberOf returns the numbers of footnotes, from 1.
func numberOf(notes []string) (numbers []int) {
	for i := range notes {
		numbers = append(numbers, i+1)
	}
	return numbers
}

// sideOf describes the runs of a side.
func sideOf(s result.Side) string {
	text := fmt.Sprintf("%s: %s, ", s.Name, format.Plural(len(s.Runs), "run", "runs"))
	if from, to := formatDay(s.First), formatDay(s.Last); from != to {
		text += from + " to " + to
	} else {
		text += from
	}
	const most = 3
	if n := len(s.Kernels); n > most {
		return text + fmt.Sprintf(", %d kernels", n)
	}
	return text + ", Linux " + strings.Join(s.Kernels, ", ")
}

func withP(p *float64) string {
	if p == nil {
		return ""
	}
	return " (" + format.P(*p) + ")"
}

// A groupRow is one figure of every arm.
type groupRow struct {
	label string
	cell  func(result.ArmChange) string
}

func groupTable(c *result.GroupComparison) layout.Table {
	t := layout.Table{Head: []string{"failure rate, median"}, Keep: 2}
	for _, a := range c.Arms {
		t.Head = append(t.Head, a.Name)
	}
	for _, row := range groupRows(c.Arms) {
		cells := []string{row.label}
		for _, a := range c.Arms {
			cells = append(cells, row.cell(a))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func groupRows(arms []result.ArmChange) []groupRow {
	type arm = result.ArmChange
	median := func(s result.Spread) string { return format.Percent(s.Median) }
	interval := func(s result.Spread) string { return format.FromTo(s.Low, s.High, format.Percent) }
	shares := []groupRow{
		{"remaining, old", func(a arm) string { return wording.Remaining(a.Old.Remaining) }},
		{"  99.9 % interval", func(a arm) string { return wording.RemainingInterval(a.Old.Remaining) }},
		{"remaining, new", func(a arm) string { return wording.Remaining(a.New.Remaining) }},
		{"  99.9 % interval", func(a arm) string { return wording.RemainingInterval(a.New.Remaining) }},
	}
	if !slices.ContainsFunc(arms, func(a arm) bool { return a.Old.Remaining != nil && a.New.Remaining != nil }) {
		shares = nil
	}
	return append(shares, []groupRow{
		{"old", func(a arm) string { return median(a.Rate.Old) }},
		{"  95 % interval", func(a arm) string { return interval(a.Rate.Old) }},
		{"  failed", func(a arm) string { return failedOf(a.Old) }},
		{"  verdicts", func(a arm) string { return listArmVerdicts(a.Old) }},
		{"new", func(a arm) string { return median(a.Rate.New) }},
		{"  95 % interval", func(a arm) string { return interval(a.Rate.New) }},
		{"  failed", func(a arm) string { return failedOf(a.New) }},
		{"  verdicts", func(a arm) string { return listArmVerdicts(a.New) }},
		{"change", func(a arm) string { return rateChangeCell(a.Rate) }},
		{"  95 % interval", func(a arm) string { return format.FromTo(a.Rate.Low, a.Rate.High, format.Signed) }},
		{"  p (Holm)", func(a arm) string { return format.Optional(a.Rate.PHolm, format.PValue) }},
	}...)
}

// rateChangeCell prints a change of the failure rate, or [format.NoDifference] if chance
// may explain it.
func rateChangeCell(r result.RateChange) string {
	if r.PHolm != nil && *r.PHolm >= result.RunAlpha {
		return format.NoDifference
	}
	return format.Optional(r.Estimate, format.Signed)
}

// writeDifferences lists the differences between the environments of the sides.
func (p *page) writeDifferences(all []result.Difference) {
	longest := 0
	for _, d := range all {
		longest = max(longest, layout.Width(d.What))
	}
	label := "differs"
	for _, d := range all {
		text := format.OrNone(d.Old) + " -> " + format.OrNone(d.New)
		if d.Key {
			text += " (expect another failure rate)"
		}
		p.WriteHanging(layout.PadRight(label, layout.LabelWidth)+layout.PadRight(d.What, longest+2), text)
		label = ""
	}
	if len(all) > 0 {
		p.WriteLine("")
	}
}
