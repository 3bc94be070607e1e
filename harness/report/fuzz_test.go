package report

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"snatlab/harness/printable"
	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/verdict"
	"snatlab/harness/wording"
)

// Whatever a file holds: it is refused in one line, or every report of it can be
// drawn, as it is and judged again, and no report steers the terminal.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no results: %v", err)
	}
	for _, path := range append(paths, "testdata/old/result.json") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(bytes.ReplaceAll(text, []byte("0"), []byte("-9")))
		f.Add(bytes.ReplaceAll(text, []byte(`"`), []byte(`"\u001b[2J|\n`)))
	}
	for _, seed := range []string{
		"", "null", "[]", "{}", `"`, `{"schema":`, `{"schema":"snatlab.result/v1"}`, `{"schema":"snatlab.result/v9\u001b[2J"}`,
		`{"schema":"snatlab.result/v1","arms":null,"comparisons":null,"expected":null,"warnings":null,"environment":null,"started":null}`,
		`{"schema":"snatlab.result/v1","arms":[null],"comparisons":[null],"expected":[null],"warnings":[null]}`,
		`{"schema":"snatlab.result/v1","arms":[{"trials":[null,{"causes":{"":-1,"|":9223372036854775807},"evidence":{"sample":[null,{"port":-1}]},"foreign":{"drop":18446744073709551615,"insert_failed":1}}]},{}]}`,
		`{"schema":"snatlab.result/v1","arms":[{"name":"a","trials":[{"requests":1,"failed":-9223372036854775808,"causes":{"snat_race":20}}]},{"name":"a","trials":[{"requests":9223372036854775807,"failed":1}]}]}`,
		`{"schema":"snatlab.result/v1","seconds":-1e308,"arms":[{"failure_rate":{"median":1e308,"low":-1e308,"high":1e308}},{"name":"b","trials":[{}]}],"comparisons":[{"arm":"b","p_holm":-1,"reduction":{"estimate":1e308},"latency":[{"percentile":"p50","estimate":1e308,"p_holm":1e-320}]}]}`,
		`{"schema":"snatlab.result/v1","incomplete":"","scenario":{"rounds":-1,"clients":-9223372036854775808},"environment":{"kernel":"4.","load_average":[1e308,-1],"cpus_online":1,"postrouting_rules":-1}}`,
		`{"schema":"snatlab.result/v1","arms":[{"name":"b","trials":[{"requests":1}]}],"expected":[{"arm":"b","reduction":-1e308},{"arm":"b","p50":0},{"arm":"b","unexplained":1e308,"held":false},{"arm":"|","race":"\n"}],"verdict":"# <script>\n| |"}`,
		`{"schema":"snatlab.result/v1","seconds":1e999}`, `{"schema":"snatlab.result/v1","started":"0000-01-01T00:00:00+23:59"}`, `{"schema":"snatlab.result/v1","seconds":NaN}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := resultfile.DecodeResult(text)
		if err != nil {
			if message := err.Error(); message != printable.Line(message) || len(message) > 1000 {
				t.Errorf("refused with %d bytes: %q", len(message), message)
			}
			return
		}
		harmless(t, r)
		stored := reporttest.Draw(t, resultfile.WriteJSON, r)
		again, err := resultfile.DecodeResult([]byte(stored))
		if err != nil || reporttest.Draw(t, resultfile.WriteJSON, again) != stored {
			t.Errorf("does not come back (%v) from:\n%s", err, stored)
		}
		verdict.Judge(r)
		wording.DescribeResult(r)
		harmless(t, r)
		reporttest.Draw(t, resultfile.WriteJSON, r)
		before := *r
		verdict.Judge(r)
		wording.DescribeResult(r)
		if before.Verdict != r.Verdict || before.Summary != r.Summary || !reflect.DeepEqual(before.Comparisons, r.Comparisons) {
			t.Errorf("judged as %s, %s; then as %s, %s", before.Verdict, before.Summary, r.Verdict, r.Summary)
		}
	})
}

// Random bytes are hardly ever a result. Here they choose each field of one, among
// values that are likely to break something.
func FuzzDraw(f *testing.F) {
	f.Add([]byte{})
	for _, step := range []byte{1, 3, 5, 7, 11, 31, 63, 101} { // each coprime with most lengths below
		seed := make([]byte, 4096)
		for i := range seed {
			seed[i] = byte(i) * step
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		made := result.Result{}
		fill(reflect.ValueOf(&made).Elem(), &choices)
		made.Schema = result.Schema
		r, err := resultfile.DecodeResult([]byte(reporttest.Draw(t, resultfile.WriteJSON, &made)))
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		harmless(t, r)
		verdict.Judge(r)
		wording.DescribeResult(r)
		harmless(t, r)
		reporttest.Draw(t, resultfile.WriteJSON, r)
	})
}

// Values that are likely to break something. The texts include the names that have
// a meaning.
var (
	someInts       = []int64{0, 1, -1, 2, 7, 19, 20, 1000, 6000, math.MaxInt32, math.MaxInt64, math.MinInt64}
	someFloats     = []float64{0, 1, -1, 0.5, 0.01, 1e-320, -1e-320, 1e6, 1e15, math.MaxFloat64, -math.MaxFloat64}
	someHistograms = []result.Histogram{nil, {{Micros: 0, Requests: 1}}, {{Micros: 7, Requests: 1}, {Micros: math.MaxInt64, Requests: math.MaxInt64 - 1}}}
	someTexts      = []string{
		"", "a", "b", "p50", "p99", "inconclusive", "fail", "reproduced", "absent", "snat_race", "unexplained", "timeout", "none", "lockstep", "clock", "4.19",
		"a: about a", "# a\n|b", "\x1b]0;title\a\x1b[2J\r", "<script>alert(1)</script>", "`\\|*_[x](y)~~", "    code", "\u202eabc\u2028\u0085",
		"1. one", "> quoted", "---", strings.Repeat("x", 200), strings.Repeat("many words ", 15), "-A POSTROUTING -j MASQUERADE --random",
	}
)

// fill fills a value by the choices; when they are used up, the rest is zero.
func fill(v reflect.Value, choices *[]byte) {
	choose := func(n int) int {
		if len(*choices) == 0 {
			return 0
		}
		c := int((*choices)[0])
		*choices = (*choices)[1:]
		return c % n
	}
	if v.Type() == reflect.TypeFor[result.Histogram]() { // one out of order is refused
		v.Set(reflect.ValueOf(someHistograms[choose(len(someHistograms))]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			v.Set(reflect.ValueOf(time.Unix(someInts[choose(len(someInts))]%1e11, 0).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), choices)
		}
	case reflect.Pointer:
		if choose(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), choices)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), choose(9), 9))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), choices)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range choose(4) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, choices)
			fill(value, choices)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(someTexts[choose(len(someTexts))])
	case reflect.Bool:
		v.SetBool(choose(2) > 0)
	case reflect.Float64:
		v.SetFloat(someFloats[choose(len(someFloats))])
	case reflect.Int, reflect.Int64:
		v.SetInt(someInts[choose(len(someInts))])
	case reflect.Uint64:
		v.SetUint(uint64(someInts[choose(len(someInts))])) // the negative ones are the largest
	default:
		panic(v.Kind().String() + " is not filled")
	}
}

// harmless checks that no report of r steers a terminal, and that no text from
// outside breaks a table.
func harmless(t *testing.T, r *result.Result) {
	t.Helper()
	text, markdown := reporttest.Draw(t, reporttest.On80(WriteText), r), reporttest.Draw(t, WriteMarkdown, r)
	for name, report := range map[string]string{"text": text, "full": reporttest.Draw(t, reporttest.On80(WriteFull), r), "markdown": markdown} {
		for line := range strings.Lines(report) {
			if line = strings.TrimSuffix(line, "\n"); line != printable.Line(line) {
				t.Errorf("%s has a control character: %q", name, line)
			}
		}
	}
	columns := 0 // of the table that a line is in
	for line := range strings.Lines(markdown) {
		bare := escaped.Replace(strings.TrimSpace(line))
		switch bars := strings.Count(bare, "|"); {
		case strings.HasPrefix(line, "    "): // code
		case !strings.HasPrefix(bare, "|"):
			if columns = 0; bars > 0 {
				t.Errorf("a bar that is not escaped: %s", line)
			}
		case columns == 0:
			columns = bars
		case bars != columns || !strings.HasSuffix(bare, "|"):
			t.Errorf("a row of %d bars in a table of %d: %s", bars, columns, line)
		}
	}
}

var escaped = strings.NewReplacer(`\\`, "", `\|`, "")
