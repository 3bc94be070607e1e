package conntrack

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A column is found by its name. The files in testdata have the header of the
// kernels since that version, and a different number in each column.
func TestParseStatVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]map[string][2]int64{ // -1: the kernel has none
		"4.19": {"clash_resolve": {-1, -1}, "chaintoolong": {-1, -1}},
		"5.10": {"clash_resolve": {0x31, 0x32}, "chaintoolong": {-1, -1}},
		"5.15": {"clash_resolve": {0x31, 0x32}, "chaintoolong": {0x33, 0x34}},
	} {
		t.Run(version, func(t *testing.T) {
			rows := parseFile(t, "nf_conntrack-"+version+".txt")
			if len(rows) != 2 {
				t.Fatalf("%d rows, want 2", len(rows))
			}
			for i, r := range rows {
				checkValue(t, i, "clash_resolve", r.findColumn("clashres", "clash_resolve"), want["clash_resolve"][i])
				checkValue(t, i, "chaintoolong", r.findColumn("chainlength", "chaintoolong"), want["chaintoolong"][i])
				for name, want := range map[string][2]int64{
					"entries": {300, 300}, "found": {0x11, 0x21}, "invalid": {0x12, 0x22}, "insert": {0x14, 0x24}, "insert_failed": {0x15, 0x25},
					"drop": {0x16, 0x26}, "early_drop": {0x17, 0x27}, "icmp_error": {0x18, 0x28}, "search_restart": {0x1c, 1<<32 - 2},
				} {
					checkValue(t, i, name, r.findColumn(name), want[i])
				}
			}
		})
	}
}

func parseFile(t *testing.T, name string) []statRow {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parseStat(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func checkValue(t *testing.T, cpu int, name string, got *uint32, want int64) {
	t.Helper()
	switch {
	case got == nil && want >= 0:
		t.Errorf("CPU %d has no %s, want %d", cpu, name, want)
	case got != nil && int64(*got) != want:
		t.Errorf("CPU %d has %s %d, want %d", cpu, name, *got, want)
	}
}

// findColumn returns the first of the names that the row has.
func TestFindColumn(t *testing.T) {
	t.Parallel()
	r := statRow{"a": 1, "b": 2}
	for want, names := range map[int64][]string{1: {"a", "b"}, 2: {"none", "b"}, -1: {"none"}} {
		checkValue(t, 0, strings.Join(names, " or "), r.findColumn(names...), want)
	}
	checkValue(t, 0, "nothing", r.findColumn(), -1)
}

// An empty file has no rows.
func TestParseStatEmpty(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "entries found", "entries found\n"} {
		if rows, err := parseStat(text); len(rows) > 0 || err != nil {
			t.Errorf("%q: %v, %v", text, rows, err)
		}
	}
}

// The error of any other file names the row and the column.
func TestParseStatErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"entries found\n0 1\n2\n":         "row 2 has 1 columns, the header has 2",
		"entries found\n0 1 2\n":          "row 1 has 3 columns, the header has 2",
		"entries found\n0 1\n\n":          "row 2 has 0 columns, the header has 2",
		"\n0 1\n":                         "row 1 has 2 columns, the header has 0",
		"entries found\n0 1\n0 xyz\n":     `row 2, found: strconv.ParseUint: parsing "xyz": invalid syntax`,
		"entries found\n0 -1\n":           `row 1, found: strconv.ParseUint: parsing "-1": invalid syntax`,
		"entries found\n0 0x1\n":          `row 1, found: strconv.ParseUint: parsing "0x1": invalid syntax`,
		"entries found\n100000000 0\n":    `row 1, entries: strconv.ParseUint: parsing "100000000": value out of range`,
		"entries found\n\x000000000 00\n": `row 1, entries: strconv.ParseUint: parsing "\x000000000": invalid syntax`,
	} {
		if _, err := parseStat(text); err == nil || err.Error() != want {
			t.Errorf("%q: error %v\nwant %s", text, err, want)
		}
	}
}

// Text that is accepted is read the same when it is written again.
func FuzzParseStat(f *testing.F) {
	files, err := filepath.Glob("testdata/nf_conntrack-*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, seed := range []string{"", "\n", "\n\n", "a\n1", "a a\n1 2\n", "a\tb\n 1\u00a0FFFFFFFF \n", "a\n-1\n", "a\n_1\n", "\xff\n0\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseStat(text)
		if err != nil {
			if rows != nil {
				t.Errorf("%v, and yet rows %v", err, rows)
			}
			return
		}
		if len(rows) == 0 {
			return
		}
		names := slices.Sorted(maps.Keys(rows[0]))
		again := strings.Join(names, " ") + "\n"
		for _, r := range rows {
			for _, name := range names {
				again += fmt.Sprintf("%08x ", *r.findColumn(name))
			}
			again += "\n"
		}
		if same, err := parseStat(again); err != nil || !slices.EqualFunc(rows, same, maps.Equal[statRow, statRow]) {
			t.Errorf("%q is read as %v, and written again as %v (%v)", text, rows, same, err)
		}
	})
}
