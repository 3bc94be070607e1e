// Package live draws what `snatlab watch` sees, for a terminal of any size, or as lines
// of a log.
package live

import (
	"fmt"
	"strings"
	"time"

	"snatlab/harness/format"
	"snatlab/harness/result/watched"
)

// Size is that of a terminal, in characters.
type Size struct {
	Width  int
	Height int // 0: no limit
}

// leastWidth is the least width that is drawn for. A narrower terminal shows the
// beginning of each line.
const leastWidth = 10

// Screen returns the lines of a screen. None is wider than the terminal, words are not
// broken, and there are no more lines than it has. With colour, lines about lost packets
// have escape sequences, and a sign as well.
func Screen(w *watched.State, size Size, colour bool) []string {
	d := drawing{width: max(size.Width, leastWidth), colour: colour}
	d.addHead(w)
	d.addCounters(w, size.Height)
	d.addMeanings(w)
	fixed := d.take()
	d.addRules(w.Rules)
	rules := d.take()
	d.addDestinations(w.Destinations)
	destinations := d.take()
	d.addMissing(w.Missing)
	lines := fitHeight(size.Height, fixed, rules, destinations, d.take())
	for i, l := range lines {
		lines[i] = l.cut(size.Width).paint(colour)
	}
	return texts(lines)
}

// fitHeight returns the lines of four parts, as many as there is room for. The rules and
// the destinations share what the others leave.
func fitHeight(height int, fixed, rules, destinations, missing []line) []line {
	if height > 0 {
		room := max(0, height-len(fixed)-len(missing))
		half := max(room/2, room-len(destinations))
		rules = shortenPart(rules, min(half, room))
		destinations = shortenPart(destinations, room-len(rules))
	}
	var all []line
	for _, part := range [][]line{fixed, rules, destinations, missing} {
		all = append(all, part...)
	}
	if height > 0 && len(all) > height {
		all = all[:height]
	}
	return all
}

// shortenPart returns the first lines of a part, and how many are left out. The first
// line is empty and the second is the title: they come with one line at least.
func shortenPart(part []line, room int) []line {
	switch {
	case len(part) <= room:
		return part
	case room < 3:
		return nil
	}
	rest := format.Plural(len(part)-room+1, "more line", "more lines")
	return append(part[:room-1:room-1], line{text: "    (" + rest + ")"})
}

func (d *drawing) addHead(w *watched.State) {
	d.addHanging("", d.chooseHead(w))
	if w.Restarts > 0 {
		d.addHanging("", describeRestarts(w.Restarts))
	}
	if w.Entries != nil {
		d.addHanging("", "table: "+describeTable(w))
	}
}

// chooseHead returns the longest head that fits on a line, or else the shortest.
func (d *drawing) chooseHead(w *watched.State) (head string) {
	target := describeTarget(w.Of)
	var parts []string
	if w.Of.Kind != watched.Text {
		parts = append(parts, w.Time.Format("15:04:05"))
	}
	if w.Seconds > 0 {
		parts = append(parts, (time.Duration(w.Seconds+0.5) * time.Second).String())
	}
	kernel := parts
	if w.Of.Kernel != "" {
		kernel = append([]string{"Linux " + w.Of.Kernel}, parts...)
	}
	for _, all := range [][]string{
		append([]string{"snatlab watch: " + target}, kernel...), append([]string{target}, kernel...), append([]string{target}, parts...), {target},
	} {
		if head = strings.Join(all, ", "); len(head) <= d.width {
			return head
		}
	}
	return head
}

func describeRestarts(n int) string {
	return fmt.Sprintf("The counters went back %s: counting began again.", format.Plural(n, "time", "times"))
}

// describeTable returns "103 of 262,144 entries (0.04 %)".
func describeTable(w *watched.State) string {
	switch {
	case w.Max == nil:
		return format.Plural(int(*w.Entries), "entry", "entries")
	case *w.Max == 0:
		return format.Plural(int(*w.Entries), "entry", "entries") + ", no limit"
	}
	return fmt.Sprintf("%s of %s entries (%s)", format.Thousands(*w.Entries), format.Thousands(*w.Max),
		format.Percent(float64(*w.Entries)/float64(*w.Max)))
}

func (d *drawing) addMeanings(w *watched.State) {
	d.addLine("")
	for _, m := range w.Meanings {
		lead := "  "
		if m.Code.Lost() {
			lead = lostSign
		}
		d.addHanging(lead, describeMeaning(w, m))
	}
}

func (d *drawing) addRules(rules *watched.Rules) {
	if rules == nil {
		return
	}
	d.addLine("")
	d.addHanging("", "translating rules, packets per second, source ports random or plain"+describeAge(rules.Age)+":")
	for _, r := range rules.Rules {
		ports := "plain"
		if r.Random {
			ports = "random"
		}
		text := r.Program + ", " + r.Place
		if r.Packets != nil {
			text += ", " + format.Thousands(*r.Packets) + " packets"
		}
		rate := format.None
		if r.PerSecond != nil {
			rate = formatRate(*r.PerSecond)
		}
		d.addHanging(fmt.Sprintf("%8s  %-6s  ", rate, ports), text+": "+r.Text)
	}
	if len(rules.Rules) == 0 {
		d.addHanging("    ", "none")
	}
	for _, u := range rules.Unread {
		d.addHanging("    ", "not read: "+u)
	}
}

func (d *drawing) addDestinations(all *watched.Destinations) {
	if all == nil {
		return
	}
	d.addLine("")
	least := ""
	if all.AtLeast {
		least = "at least "
	}
	d.addHanging("", fmt.Sprintf("top destinations, %sso many entries, share of the %s source ports%s:", least, format.Thousands(watched.NATPorts), describeAge(all.Age)))
	for _, t := range all.Top {
		share := format.None
		if t.Translated > 0 {
			share = format.Percent(float64(t.Entries) / watched.NATPorts)
		}
		d.addHanging(fmt.Sprintf("%7s %7s  ", format.Thousands(t.Entries), share), fmt.Sprintf("%s %v from %v", t.Protocol, t.To, t.From))
	}
	if len(all.Top) == 0 {
		d.addHanging("    ", "none")
	}
}

// describeAge returns how old a listing is, or nothing if it is new.
func describeAge(seconds float64) string {
	if seconds < 5 {
		return ""
	}
	return fmt.Sprintf(" (%.0f s old)", seconds)
}

// addMissing names the parts that are missing. Those that only need privilege share a
// line.
func (d *drawing) addMissing(all []watched.Missing) {
	var denied []string
	for _, m := range all {
		if m.Denied {
			denied = append(denied, describePart(m.Part))
		} else {
			d.addHanging("  ", describePart(m.Part)+": "+m.Cause)
		}
	}
	if denied != nil {
		d.addHanging("  ", "Root would also see "+joinWords(denied)+".")
	}
}

// joinWords returns "a, b and c".
func joinWords(all []string) string {
	last := len(all) - 1
	if last == 0 {
		return all[0]
	}
	return strings.Join(all[:last], ", ") + " and " + all[last]
}
