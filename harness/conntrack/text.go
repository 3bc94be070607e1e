package conntrack

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"snatlab/harness/format"
)

// MaxText bounds in bytes the text that [ParseText] accepts. A machine of 1,024 CPUs has
// 200 KiB.
const MaxText = 4 << 20

// maxCPUs bounds the CPUs of a reading (the largest CONFIG_NR_CPUS).
const maxCPUs = 8192

// Reading is the counters at one instant, as a text shows them.
type Reading struct {
	CPUs    []CPUReading
	Entries *uint64 // in the table; nil where the text does not say
}

// CPUReading holds the counters of one CPU by the names that watched.Counters
// lists. A counter that the kernel lacks is missing.
type CPUReading struct {
	CPU    int
	Values map[string]uint32
}

// columnNames are the counters by their names in the texts. The columns clashres and
// chainlength show clash_resolve and chaintoolong since Linux 5.10 and 5.15.
var columnNames = map[string]string{
	"insert_failed": "insert_failed", "drop": "drop", "early_drop": "early_drop", "found": "found", "invalid": "invalid",
	"insert": "insert", "search_restart": "search_restart",
	"clashres": "clash_resolve", "clash_resolve": "clash_resolve",
	"chainlength": "chaintoolong", "chaintoolong": "chaintoolong",
	"icmp_error": "error", "error": "error",
}

// entriesColumn is the first column of the file, the same in every row.
const entriesColumn = "entries"

// ParseText reads the counters from the text of /proc/net/stat/nf_conntrack or of
// `conntrack -S`. A text may hold several readings, one after the other.
func ParseText(text string) ([]Reading, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("the text is longer than %d bytes", MaxText)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	switch {
	case len(lines) == 0:
		return nil, errors.New("the text is empty")
	case isStatHeader(lines[0]):
		return parseStatReadings(lines)
	case strings.HasPrefix(lines[0], "cpu="):
		return parseListing(lines)
	}
	return nil, errors.New("the text begins neither like `conntrack -S` (cpu=0 ...) nor like /proc/net/stat/nf_conntrack (entries ...)")
}

func isStatHeader(line string) bool { return strings.Fields(line)[0] == entriesColumn }

// parseStatReadings parses readings of the stat file. Each begins with the header. The
// rows are those of the possible CPUs in order, without their numbers.
func parseStatReadings(lines []string) (all []Reading, err error) {
	for at := 0; at < len(lines); {
		end := at + 1
		for end < len(lines) && !isStatHeader(lines[end]) {
			end++
		}
		rows, err := parseStat(strings.Join(lines[at:end], "\n"))
		if err != nil {
			return nil, err
		}
		r, err := readingOf(rows)
		if err != nil {
			return nil, err
		}
		all, at = append(all, r), end
	}
	return all, nil
}

func readingOf(rows []statRow) (r Reading, err error) {
	switch {
	case len(rows) == 0:
		return r, errors.New("the header has no rows")
	case len(rows) > maxCPUs:
		return r, fmt.Errorf("%s; allowed: %d", format.Plural(len(rows), "row", "rows"), maxCPUs)
	}
	if n := rows[0].findColumn(entriesColumn); n != nil {
		entries := uint64(*n)
		r.Entries = &entries
	}
	for i, row := range rows {
		c := CPUReading{CPU: i, Values: map[string]uint32{}}
		for column, v := range row {
			if name, ok := columnNames[column]; ok {
				c.Values[name] = v
			}
		}
		r.CPUs = append(r.CPUs, c)
	}
	return r, nil
}

// parseListing parses the output of `conntrack -S`: a line for each CPU. A reading ends
// where the numbers of the CPUs begin again.
func parseListing(lines []string) (all []Reading, err error) {
	for i, line := range lines {
		c, err := parseListed(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if len(all) == 0 || c.CPU <= all[len(all)-1].lastCPU() {
			all = append(all, Reading{})
		}
		last := &all[len(all)-1]
		last.CPUs = append(last.CPUs, c)
	}
	return all, nil
}

func (r Reading) lastCPU() int { return r.CPUs[len(r.CPUs)-1].CPU }

// parseListed parses "cpu=0 found=1 invalid=0 ...".
func parseListed(line string) (c CPUReading, err error) {
	c.Values = map[string]uint32{}
	for i, field := range strings.Fields(line) {
		key, value, ok := strings.Cut(field, "=")
		if !ok || i == 0 && key != "cpu" {
			return c, fmt.Errorf("%q is not a line of `conntrack -S`", shortenText(line))
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return c, fmt.Errorf("%s: %w", shortenText(key), err)
		}
		name, known := columnNames[key]
		switch {
		case i == 0 && n >= maxCPUs:
			return c, fmt.Errorf("cpu=%d; allowed: below %d", n, maxCPUs)
		case i == 0:
			c.CPU = int(n)
		case known:
			c.Values[name] = uint32(n)
		}
	}
	return c, nil
}

// shortenText shortens text from outside for an error.
func shortenText(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// HasCounter reports whether the kernel has a counter.
func (r Reading) HasCounter(name string) bool {
	return slices.ContainsFunc(r.CPUs, func(c CPUReading) bool { _, ok := c.Values[name]; return ok })
}

// ReadByNetlink reads the counters by ctnetlink, for kernels without the file. It needs
// CAP_NET_ADMIN. Clash_resolve and chaintoolong are missing.
func ReadByNetlink() (r Reading, err error) {
	stats, err := readNetlink()
	if err != nil {
		return r, err
	}
	for _, s := range stats {
		r.CPUs = append(r.CPUs, CPUReading{int(s.CPUID), map[string]uint32{
			"insert_failed": s.InsertFailed, "drop": s.Drop, "early_drop": s.EarlyDrop, "found": s.Found, "invalid": s.Invalid,
			"insert": s.Insert, "error": s.Error, "search_restart": s.SearchRestart,
		}})
	}
	if n, err := readNumber(countFile); err == nil {
		r.Entries = &n
	}
	return r, nil
}
