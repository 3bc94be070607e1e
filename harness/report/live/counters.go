package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/result/watched"
)

// lostCounters are the counters that count lost packets or entries.
var lostCounters = map[string]bool{"insert_failed": true, "drop": true, "early_drop": true, "chaintoolong": true}

// rareCounters are the counters that a screen shows only if they moved.
var rareCounters = map[string]bool{"error": true, "insert": true, "search_restart": true}

// column is a column of figures.
type column struct {
	title string
	value func(counter string) (text string, ok bool)
}

// lowHeight is the height below which a screen shows, of the counters that did not move,
// only the main ones.
const lowHeight = 30

var mainCounters = map[string]bool{"insert_failed": true, "drop": true, "found": true}

// chooseCounters returns the counters for a screen of a height, or all if there is no
// limit. A narrow screen has room for those with short names only.
func chooseCounters(w *watched.State, height int, isNarrow bool) (names []string) {
	for _, name := range watched.Counters {
		if isNarrow && !lostCounters[name] && !mainCounters[name] {
			continue
		}
		if height == 0 || w.Counters[name].Recent > 0 || mainCounters[name] || height >= lowHeight && !rareCounters[name] {
			names = append(names, name)
		}
	}
	return names
}

// addCounters adds the table of counters: all CPUs first, then as many CPUs as there is
// room for.
func (d *drawing) addCounters(w *watched.State, height int) {
	sums, cpus := sumColumns(w), cpuColumns(w)
	table := newTable(chooseCounters(w, height, d.width < narrow), w, d.width < narrow)
	for i, c := range sums {
		if table.width()+table.columnWidth(c) > d.width && i > 0 {
			break
		}
		table.add(c)
	}
	shown := 0
	for _, c := range cpus {
		if table.width()+table.columnWidth(c) > d.width {
			break
		}
		shown++
	}
	for _, c := range chooseCPUs(w, cpus, shown) {
		if table.width()+table.columnWidth(c) <= d.width {
			table.add(c)
		}
	}
	d.addLine("")
	for _, row := range table.rows {
		d.addLine(row)
	}
	if rest := len(cpus) - shown; rest > 0 && shown > 0 {
		d.addHanging("  ", fmt.Sprintf("(and %s)", format.Plural(rest, "more CPU", "more CPUs")))
	}
}

// sumColumns returns the columns of all CPUs together, the most important first.
func sumColumns(w *watched.State) []column {
	total := column{"total", func(name string) (string, bool) {
		c, ok := w.Counters[name]
		return format.Thousands(c.Total), ok
	}}
	recent := func(title string) column {
		return column{title, func(name string) (string, bool) {
			c, ok := w.Counters[name]
			return format.Thousands(c.Recent), ok
		}}
	}
	switch {
	case w.Readings > 0:
		return []column{recent("moved"), total}
	case w.Seconds == 0:
		return []column{total}
	}
	rate := column{"/s", func(name string) (string, bool) {
		c, ok := w.Counters[name]
		return formatRate(c.PerSecond), ok
	}}
	return []column{rate, recent(fmt.Sprintf("last %.0f s", max(1, w.Window))), total}
}

// cpuColumns returns a column for each CPU: of rates, or of totals where there are none.
func cpuColumns(w *watched.State) (all []column) {
	for _, cpu := range w.CPUs {
		title := fmt.Sprintf("CPU %d", cpu.CPU)
		if w.Seconds > 0 {
			title += "/s"
		}
		all = append(all, column{title, func(name string) (string, bool) {
			c, ok := cpu.Counters[name]
			if w.Seconds > 0 {
				return formatRate(c.PerSecond), ok
			}
			return format.Thousands(c.Total), ok
		}})
	}
	return all
}

// chooseCPUs returns the columns of n CPUs in order: those that have lost the most.
func chooseCPUs(w *watched.State, all []column, n int) []column {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	lost := func(i int) uint64 {
		c := w.CPUs[i].Counters
		return c["insert_failed"].Total + c["drop"].Total + c["early_drop"].Total
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lost(b), lost(a)) })
	order = order[:n]
	slices.Sort(order)
	var chosen []column
	for _, i := range order {
		chosen = append(chosen, all[i])
	}
	return chosen
}

// table is a table under construction: its first row is the titles.
type table struct {
	names []string
	rows  []string
	gap   int // between columns
	least int // width of a column
}

// narrow is the width below which columns are as narrow as they can be.
const narrow = 30

func newTable(names []string, w *watched.State, isNarrow bool) *table {
	longest := 0
	for _, name := range names {
		longest = max(longest, len(name))
	}
	t := &table{names: names, rows: []string{strings.Repeat(" ", 2+longest)}, gap: 2, least: 8} // figures of other seconds fit as well
	if isNarrow {
		t.gap, t.least = 1, 4
	}
	for _, name := range names {
		sign := "  "
		if c := w.Counters[name]; lostCounters[name] && c.Recent > 0 {
			sign = lostSign
		}
		t.rows = append(t.rows, sign+name+strings.Repeat(" ", longest-len(name)))
	}
	return t
}

func (t *table) width() int { return len(t.rows[0]) }

// cells returns the texts of a column, its title first.
func (t *table) cells(c column) []string {
	all := []string{c.title}
	for _, name := range t.names {
		text, ok := c.value(name)
		if !ok {
			text = format.None
		}
		all = append(all, text)
	}
	return all
}

func (t *table) columnWidth(c column) int {
	width := t.least
	for _, text := range t.cells(c) {
		width = max(width, len(text))
	}
	return t.gap + width
}

func (t *table) add(c column) {
	width := t.columnWidth(c)
	for i, text := range t.cells(c) {
		t.rows[i] += strings.Repeat(" ", width-len(text)) + text
	}
}

// formatRate prints a rate: "0", "0.5", "1,234".
func formatRate(perSecond float64) string {
	switch {
	case perSecond == 0:
		return "0"
	case perSecond < 0.1:
		return "<0.1"
	case perSecond < 9.95:
		return fmt.Sprintf("%.1f", perSecond)
	}
	return format.Thousands(uint64(perSecond + 0.5))
}
