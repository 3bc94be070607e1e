package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// WriteText writes the first screen of a run: the answer, the caveat that matters most, a
// row for each arm, and the expectations. [WriteFull] writes everything.
func WriteText(w io.Writer, r *result.Result, on layout.Screen) error {
	p := newPage(on)
	answer := wording.Answer(r)
	p.writeAnswer(answer, "")
	p.writeCaveat(answer)
	p.writeArmRows(r)
	p.writeLookups(r)
	p.writeExpected(r)
	if text := sharedText(r.Environment); text != "" {
		p.WriteField("shared", text)
	}
	p.WriteField("run", fmt.Sprintf("%s, %s: %s; %s; %s; %s", wording.RunName(r), r.Scenario.Name, loadText(r.Scenario, r.Arms),
		machineText(r.Environment), labText(r.Environment), format.Seconds(r.Seconds)))
	_, err := io.WriteString(w, p.String())
	return err
}

// writeAnswer writes whether the machine is affected, and what each arm does about it.
func (p *page) writeAnswer(a wording.RunAnswer, marks string) {
	p.WriteHanging("", a.Headline+marks+": "+a.Sentence)
	p.WriteLine("")
	longest := 0
	for _, arm := range a.Arms {
		longest = max(longest, len(arm.Label))
	}
	for _, arm := range a.Arms {
		p.WriteHanging(layout.PadRight(arm.Label, longest+2), arm.Text())
	}
	if len(a.Arms) > 0 {
		p.WriteLine("")
	}
}

func (p *page) writeCaveat(a wording.RunAnswer) {
	if a.Caveat == "" {
		return
	}
	text := strings.TrimSuffix(a.Caveat, ".")
	if a.More > 0 {
		text += fmt.Sprintf(" (and %s: --full)", format.Plural(a.More, "more warning", "more warnings"))
	}
	p.WriteHanging("caveat  ", text)
	p.WriteLine("")
}

// writeLookups writes what became of the two queries of look-ups.
func (p *page) writeLookups(r *result.Result) {
	if text := wording.DescribeLookups(r); text != "" {
		p.WriteHanging(layout.PadRight("queries", layout.LabelWidth), text)
		p.WriteLine("")
	}
}

// nameLeast is the columns of the name of an arm on a narrow screen.
const nameLeast = 12

// An armColumn is one figure in the rows of the arms.
type armColumn struct {
	head string
	cell func(result.Arm) string
}

// writeArmRows writes the table with a row for each arm, and the legend of its signs.
func (p *page) writeArmRows(r *result.Result) {
	if len(r.Arms) == 0 {
		return
	}
	all := armColumns(r)
	t := layout.Table{Head: []string{"arm"}, Gap: 2}
	for _, c := range all {
		t.Head = append(t.Head, c.head)
	}
	signs := ""
	for _, a := range r.Arms {
		cells := []string{p.On.Shorten(a.Name, min(layout.NameMost, max(nameLeast, p.On.Columns()/3)))}
		signs += cells[0] + "\n"
		for _, c := range all {
			cells = append(cells, c.cell(a))
			signs += c.cell(a) + "\n"
		}
		t.Rows = append(t.Rows, cells)
	}
	p.WriteTable(t)
	p.WriteHanging("", legend(t.Head, signs, wording.Latency(r.Scenario)))
	p.WriteLine("")
}

// armColumns returns the figures of an arm that the first screen has.
func armColumns(r *result.Result) []armColumn {
	tried := func(head string, of func(result.Arm) string) armColumn {
		return armColumn{head, triedRow(head, of).cell}
	}
	all := []armColumn{
		tried("lost", func(a result.Arm) string { return format.Thousands(a.SumTotals().Failed) }),
		tried("rate", func(a result.Arm) string { return rateCell(a.FailureRate) }),
	}
	if result.HasControl(r.Arms) {
		all = append(all, tried("control", func(a result.Arm) string { return format.Thousands(a.SumControl().Failed) }))
	}
	if len(r.Arms) > 1 && !isJudgedByMedians(r) {
		all = append(all, armColumn{"remains", remainingRow(r, "", remainsCell).cell})
	}
	if len(r.Arms) > 1 {
		all = append(all, armColumn{"verdict", func(a result.Arm) string { return verdictCell(r, a) }})
	}
	return append(all,
		tried("p50", func(a result.Arm) string { return format.Micros(a.LatencyP50.Median) }),
		tried("p99", func(a result.Arm) string { return format.Micros(a.LatencyP99.Median) }))
}

// rateCell prints a median rate and how far its 95 % interval reaches to the farther
// side: "29.5 ±5.50 %".
func rateCell(s result.Spread) string {
	text := format.Percent(s.Median)
	if s.Low == nil || s.High == nil || *s.Low == *s.High {
		return text
	}
	return strings.TrimSuffix(text, " %") + " ±" + format.Percent(math.Max(s.Median-*s.Low, *s.High-s.Median))
}

// remainsCell prints the 99.9 % interval of a share that remains, rounded outwards.
func remainsCell(s *result.Remaining) string {
	switch low, high := s.DecisiveLow, s.DecisiveHigh; {
	case high != nil && *high >= manyTimes || high == nil:
		if low < 0.01 {
			return format.None
		}
		return "≥" + format.AtLeast(low)
	case low == 0:
		return "≤" + format.AtMost(*high)
	default:
		return format.Between(low, high)
	}
}

// manyTimes is the share from which on the upper end of an interval bounds nothing.
const manyTimes = 10

// legend explains the columns and signs that a table has. latency is what p50 and p99 are.
func legend(head []string, cells, latency string) string {
	has := func(column string) bool { return slices.Contains(head, column) }
	rate := "rate: of all requests, median trial"
	if strings.Contains(cells, "±") {
		rate += ", ± to the farther end of its 95 % interval"
	}
	texts := []string{rate}
	if has("control") {
		texts = append(texts, "control: lost by plain masquerade beside the arm")
	}
	if has("remains") {
		remains := "remains: of the failures, against the control or baseline, 99.9 % interval"
		if strings.ContainsAny(cells, "≤≥") {
			remains += " (≤ at most, ≥ at least)"
		}
		texts = append(texts, remains)
	}
	texts = append(texts, "p50, p99: "+latency)
	if slices.Contains(strings.Split(cells, "\n"), format.None) {
		texts = append(texts, "-: no figure")
	}
	if strings.Contains(cells, "…") {
		texts = append(texts, "…: shortened")
	}
	return strings.Join(texts, "; ")
}
