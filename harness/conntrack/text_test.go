package conntrack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listing14 is the output of `conntrack -S` of conntrack-tools 1.4.7 on Linux 6.18.
const listing14 = `cpu=0   	found=381787 invalid=0 insert=0 insert_failed=235799 drop=235799 early_drop=0 error=0 search_restart=5 clash_resolve=0 chaintoolong=0 
cpu=1   	found=303888 invalid=2 insert=0 insert_failed=220457 drop=220457 early_drop=0 error=0 search_restart=6 clash_resolve=0 chaintoolong=3 
`

func TestParseText(t *testing.T) {
	t.Parallel()
	t.Run("the listing of conntrack -S", func(t *testing.T) {
		got := parseReadings(t, listing14, 1)[0]
		if got.Entries != nil || len(got.CPUs) != 2 || got.CPUs[1].CPU != 1 {
			t.Fatalf("got %+v", got)
		}
		want := map[string]uint32{
			"found": 303888, "invalid": 2, "insert": 0, "insert_failed": 220457, "drop": 220457, "early_drop": 0, "error": 0,
			"search_restart": 6, "clash_resolve": 0, "chaintoolong": 3,
		}
		if d := cmp.Diff(want, got.CPUs[1].Values); d != "" {
			t.Error(d)
		}
	})
	t.Run("the listing of Linux 4.19", func(t *testing.T) {
		got := parseReadings(t, "cpu=0 \tsearched=3 found=1 new=0 invalid=0 ignore=4 delete=0 delete_list=0 insert=0 insert_failed=7 drop=7 early_drop=0 error=0 search_restart=2\n", 1)[0]
		if got.CPUs[0].Values["insert_failed"] != 7 || got.HasCounter("clash_resolve") || !got.HasCounter("drop") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("several readings", func(t *testing.T) {
		all := parseReadings(t, listing14+strings.ReplaceAll(listing14, "drop=2", "drop=3"), 2)
		if n := all[1].CPUs[0].Values["drop"]; n != 335799 {
			t.Errorf("drop %d", n)
		}
	})
	t.Run("files of each kernel", func(t *testing.T) {
		for version, counters := range map[string][2]bool{"4.19": {false, false}, "5.10": {true, false}, "5.15": {true, true}} {
			text, err := os.ReadFile(filepath.Join("testdata", "nf_conntrack-"+version+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			all := parseReadings(t, string(text)+string(text), 2)
			for i, name := range []string{"clash_resolve", "chaintoolong"} {
				if all[1].HasCounter(name) != counters[i] {
					t.Errorf("%s has %s: %v", version, name, !counters[i])
				}
			}
			if c := all[1].CPUs[1]; c.CPU != 1 || c.Values["insert_failed"] != 0x25 || c.Values["error"] != 0x28 || *all[1].Entries != 300 {
				t.Errorf("%s: %+v", version, c)
			}
		}
	})
}

func parseReadings(t *testing.T, text string, want int) []Reading {
	t.Helper()
	all, err := ParseText(text)
	if err != nil || len(all) != want {
		t.Fatalf("%d readings, want %d: %v", len(all), want, err)
	}
	return all
}

func TestParseTextErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "the text is empty",
		" \n\n":                            "the text is empty",
		"hello\n":                          "the text begins neither like `conntrack -S` (cpu=0 ...) nor like /proc/net/stat/nf_conntrack (entries ...)",
		"entries found\n":                  "the header has no rows",
		"entries found\n0 1 2\n":           "row 1 has 3 columns, the header has 2",
		"cpu=0 drop=1\nhello\n":            "line 2: \"hello\" is not a line of `conntrack -S`",
		"cpu=0 drop=x\n":                   `line 1: drop: strconv.ParseUint: parsing "x": invalid syntax`,
		"cpu=9999 drop=1\n":                "line 1: cpu=9999; allowed: below 8192",
		"cpu=0 drop=4294967296\n":          `line 1: drop: strconv.ParseUint: parsing "4294967296": value out of range`,
		strings.Repeat(" ", 5<<20):         "the text is longer than 4194304 bytes",
		"cpu=0 drop=1\n drop=1\n":          "line 2: \"drop=1\" is not a line of `conntrack -S`",
		"cpu=0 " + strings.Repeat("x", 99): "line 1: \"cpu=0 " + strings.Repeat("x", 54) + "...\" is not a line of `conntrack -S`",
	} {
		if _, err := ParseText(text); err == nil || err.Error() != want {
			t.Errorf("%.40q: error %v\nwant %s", text, err, want)
		}
	}
}

// A text that is accepted has readings, each with CPUs in ascending order.
func FuzzParseText(f *testing.F) {
	f.Add(listing14)
	f.Add("entries drop\n1 2\nentries drop\n3 4\n")
	f.Add("cpu=1 drop=1\ncpu=0\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParseText(text)
		if (err == nil) == (len(all) == 0) {
			t.Fatalf("%d readings, %v", len(all), err)
		}
		for _, r := range all {
			if len(r.CPUs) == 0 {
				t.Error("a reading without CPUs")
			}
			for i, c := range r.CPUs[1:] {
				if c.CPU <= r.CPUs[i].CPU {
					t.Errorf("CPU %d after %d", c.CPU, r.CPUs[i].CPU)
				}
			}
		}
	})
}
