package report

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
)

// Long texts make no report that is much longer. Without bounds, each word of the rule
// would have a megabyte of blanks before it.
func TestLongTexts(t *testing.T) {
	t.Parallel()
	const size = 1 << 17
	words := strings.Repeat("a b\u001b ", size/4)
	text := `{"schema":"snatlab.result/v1","id":"X","version":"X","summary":"X","verdict":"X","incomplete":"X","scenario":{"name":"X","pattern":"X"},
		"environment":{"kernel":"X","server":"X","sysctls":{"X":"X"}},"warnings":["X","X"],"expected":[{"arm":"X","race":"X","found":"X"}],
		"comparisons":[{"arm":"b","verdict":"X"}],"arms":[{"name":"` + strings.Repeat("n", 200) + `","rule":"X","settings":["X","X"],
		"trials":[{"causes":{"X":1},"evidence":{"looked":1,"sample":[{"entry":"X"}]}}]},{"name":"b","rule":"X","trials":[{}]}]}`
	r, err := resultfile.DecodeResult([]byte(strings.ReplaceAll(text, "X", strings.ReplaceAll(words, "\u001b", "?"))))
	if err != nil {
		t.Fatal(err)
	}
	stored := len(reporttest.Draw(t, resultfile.WriteJSON, r))
	for name, got := range map[string]string{"text": reporttest.Draw(t, reporttest.On80(WriteText), r), "full": reporttest.Draw(t, reporttest.On80(WriteFull), r), "markdown": reporttest.Draw(t, WriteMarkdown, r)} {
		if len(got) > 8*stored {
			t.Errorf("%s: %d bytes, of %d", name, len(got), stored)
		}
	}
	harmless(t, r)
}

// A report that cannot be written is an error.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	r, err := resultfile.ReadResult("testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, report := range map[string]func(io.Writer, *result.Result) error{"Text": reporttest.On80(WriteText), "Full": reporttest.On80(WriteFull), "Markdown": WriteMarkdown, "JSON": resultfile.WriteJSON[*result.Result]} {
		if err := report(full{}, r); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Text from outside steers no terminal and breaks no table.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const hostile = "a|b\x1b[2J\n[c](d) <e>"
	r := &result.Result{
		Scenario: result.ScenarioSummary{Name: hostile},
		Arms: []result.Arm{{
			Name: hostile, Rule: hostile, Settings: []string{hostile},
			Trials: []result.Trial{{
				Round: 1, Requests: 1, Failed: 1, Causes: map[string]int{hostile: 1},
				Evidence: &result.Evidence{Looked: 1, Sample: []result.Sample{{Entry: hostile}}},
			}},
		}},
		Environment: result.Env{
			KernelVersion: hostile, KernelConfig: new(hostile), CPUModel: new(hostile), Governor: new(hostile),
			Virtualisation: new(hostile), Sysctls: map[string]string{hostile: hostile},
		},
		Warnings: []string{hostile},
		Expected: []result.Expectation{{Arm: hostile, Race: hostile, Found: hostile}},
		Summary:  hostile,
	}
	for name, out := range map[string]string{"text": reporttest.Draw(t, reporttest.On80(WriteText), r), "full": reporttest.Draw(t, reporttest.On80(WriteFull), r), "markdown": reporttest.Draw(t, WriteMarkdown, r)} {
		if strings.ContainsRune(out, '\x1b') {
			t.Errorf("%s passes an escape on:\n%q", name, out)
		}
	}
	for _, line := range strings.Split(reporttest.Draw(t, WriteMarkdown, r), "\n") {
		code := strings.HasPrefix(line, "    ")
		if !code && (strings.Contains(line, "a|b") || strings.Contains(line, " [c]") || strings.Contains(line, " <e>")) {
			t.Errorf("not escaped: %s", line)
		}
	}
}

var errFull = errors.New("disk full")

// full is a writer that always fails.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// No text of a result, the names of causes and sysctls included, breaks a report.
func TestHostileResult(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		"a|b|c", "a\n# b\n| c |\n|--|\n", "\r\n\r\n---\r\n", "\x1b[2J\x1b]0;title\x07\x9b31m", "<script>alert(1)</script><!--", "[click](http://127.0.0.1) ![x](y)",
		"`code` ``` ~~~", "\\", "\\|", "# heading", "## heading", "- item", "1. item", "> quotation", "    code", "===", "***", "&lt;&#124;", "\u202e\u2066\u200b\u2028\u0085", "\x00\x08\x7f", "\ufeff",
		strings.Repeat("long", 50), "e\u0301\u0301\u0301\u0301",
	} {
		for _, path := range reporttest.Fixtures(t) {
			r := withText(t, path, hostile)
			harmless(t, r)
			was, is := headings(reporttest.Draw(t, WriteMarkdown, withText(t, path, "a word"))), headings(reporttest.Draw(t, WriteMarkdown, r))
			if was != is {
				t.Errorf("%q in %s: headings\n%s\nwant\n%s", hostile, path, is, was)
			}
			for line := range strings.Lines(reporttest.Draw(t, WriteMarkdown, r)) {
				bare := strings.NewReplacer(`\\`, "", `\<`, "", `\[`, "", `\]`, "", "\\`", "", `\*`, "", "&emsp;", "", `\&`, "").Replace(line)
				if !strings.HasPrefix(line, "    ") && strings.ContainsAny(bare, "<[]`*&") {
					t.Errorf("%q in %s is not escaped: %s", hostile, path, line)
				}
			}
		}
	}
}

// withText returns a result whose texts are all replaced.
func withText(t *testing.T, path, text string) *result.Result {
	t.Helper()
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var whole any
	if err := json.Unmarshal(stored, &whole); err != nil {
		t.Fatal(err)
	}
	changed, err := json.Marshal(replaced(whole, text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := resultfile.DecodeResult(changed)
	if err != nil {
		t.Fatalf("%q in %s: %v", text, path, err)
	}
	return r
}

// replaced replaces every text of v, except those without which v is no result.
func replaced(v any, text string) any {
	switch v := v.(type) {
	case string:
		return text
	case []any:
		for i := range v {
			v[i] = replaced(v[i], text)
		}
	case map[string]any:
		for key, value := range v {
			switch key {
			case "schema", "started":
			case "causes", "sysctls":
				v[key] = map[string]any{text: map[string]any{"causes": any(7), "sysctls": text}[key]}
			default:
				v[key] = replaced(value, text)
			}
		}
	}
	return v
}

// headings returns the beginnings of all lines that are no paragraph: headings,
// lists and their items, quotations, horizontal lines.
func headings(markdown string) (all string) {
	for line := range strings.Lines(markdown) {
		if mark := block.FindString(line); mark != "" && !strings.HasPrefix(line, "    ") {
			all += strings.TrimSpace(mark) + "; "
		}
	}
	return all
}

var block = regexp.MustCompile(`^(- )?([-#>+=~_*]+|[0-9]+[.)]|   )([ \n]|$)`)
