package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"snatlab/harness/result"
)

func TestWhatIsReadIsWrittenUnchanged(t *testing.T) {
	for _, path := range fixtures(t) {
		r, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := draw(t, JSON, r); got != string(want) {
			t.Errorf("%s changed", path)
		}
	}
}

func TestAFolderStandsForTheResultInIt(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "result.json"), `{"schema": "snatlab.result/v1", "id": "here"}`)
	r, err := Read(dir)
	if err != nil || r.ID != "here" {
		t.Errorf("got %v, %v", r, err)
	}
}

func TestOnlyAResultOfThisSchemaIsRead(t *testing.T) {
	for _, tc := range []struct{ claim, text, want string }{
		{"no text", " \n", "result.json: the file is empty"},
		{"no JSON", "masquerade", "result.json: not a snatlab result: invalid character 'm' looking for beginning of value"},
		{"half a file", `{"schema": "snatlab.result/v1", "arms": [`, "result.json: not a snatlab result: unexpected end of JSON input"},
		{"another schema", `{"schema": "snatlab.result/v9"}`, "result.json: schema snatlab.result/v9; this snatlab reads snatlab.result/v1"},
		{"no schema", `{"arms": []}`, "result.json: not a snatlab result: it names no schema (this snatlab reads snatlab.result/v1)"},
		{"another type", `{"schema": "snatlab.result/v1", "seconds": "many"}`,
			"result.json: not a snatlab result: json: cannot unmarshal string into Go struct field Result.seconds of type float64"},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "result.json", tc.text)
			if _, err := Read("result.json"); err == nil || err.Error() != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAFileTooLargeForAResultIsNotRead(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "result.json", "")
	if err := os.Truncate("result.json", maxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Read("result.json"); err == nil || err.Error() != "result.json: 64.0 MiB; no result is larger than 64 MiB" {
		t.Errorf("got %v", err)
	}
}

func TestAMissingFileIsSaidToBeMissing(t *testing.T) {
	if _, err := Read("nowhere/result.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	r, err := Read("testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, report := range map[string]func(io.Writer, *result.Result) error{"Text": Text, "Markdown": Markdown, "JSON": JSON} {
		if err := report(full{}, r); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWhatComesFromOutsideCannotSteerATerminalOrATable(t *testing.T) {
	const hostile = "a|b\x1b[2J\n[c](d) <e>"
	r := &result.Result{
		Scenario: result.Scenario{Name: hostile},
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
		Expected: []result.Expect{{Arm: hostile, Race: hostile, Found: hostile}},
		Summary:  hostile,
	}
	var progress bytes.Buffer
	p := NewProgress(&progress, false)
	p.Say(hostile)
	p.Done(1, 1, hostile, &r.Arms[0].Trials[0])
	for name, out := range map[string]string{"text": draw(t, Text, r), "markdown": draw(t, Markdown, r), "progress": progress.String()} {
		if strings.ContainsRune(out, '\x1b') {
			t.Errorf("%s passes an escape on:\n%q", name, out)
		}
	}
	for _, line := range strings.Split(draw(t, Markdown, r), "\n") {
		code := strings.HasPrefix(line, "    ")
		if !code && (strings.Contains(line, "a|b") || strings.Contains(line, " [c]") || strings.Contains(line, " <e>")) {
			t.Errorf("not escaped: %s", line)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var errFull = errors.New("disk full")

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Every text of a result, the names of causes and sysctls included, may be made
// to break a report.
func TestAHostileResultBreaksNoReport(t *testing.T) {
	for _, hostile := range []string{
		"a|b|c", "a\n# b\n| c |\n|--|\n", "\r\n\r\n---\r\n", "\x1b[2J\x1b]0;title\x07\x9b31m", "<script>alert(1)</script><!--", "[click](http://127.0.0.1) ![x](y)",
		"`code` ``` ~~~", "\\", "\\|", "# heading", "## heading", "- item", "1. item", "> quotation", "    code", "===", "***", "&lt;&#124;", "\u202e\u2066\u200b\u2028\u0085", "\x00\x08\x7f", "\ufeff",
		strings.Repeat("long", 50), "e\u0301\u0301\u0301\u0301",
	} {
		for _, path := range fixtures(t) {
			r := withText(t, path, hostile)
			harmless(t, r)
			was, is := headings(draw(t, Markdown, withText(t, path, "a word"))), headings(draw(t, Markdown, r))
			if was != is {
				t.Errorf("%q in %s: headings\n%s\nwant\n%s", hostile, path, is, was)
			}
			for line := range strings.Lines(draw(t, Markdown, r)) {
				bare := strings.NewReplacer(`\\`, "", `\<`, "", `\[`, "", `\]`, "", "\\`", "", `\*`, "", "&emsp;", "", `\&`, "").Replace(line)
				if !strings.HasPrefix(line, "    ") && strings.ContainsAny(bare, "<[]`*&") {
					t.Errorf("%q in %s is not escaped: %s", hostile, path, line)
				}
			}
		}
	}
}

// withText is a result in which every text is another.
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
	r, err := decode(changed)
	if err != nil {
		t.Fatalf("%q in %s: %v", text, path, err)
	}
	return r
}

// replaced has another text for each of its own, but for those without which it
// is no result.
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

// headings are what opens as something else than a paragraph, by what it opens
// with: headings, lists and what is in them, quotations, lines across the page.
func headings(markdown string) (all string) {
	for line := range strings.Lines(markdown) {
		if mark := block.FindString(line); mark != "" && !strings.HasPrefix(line, "    ") {
			all += strings.TrimSpace(mark) + "; "
		}
	}
	return all
}

var block = regexp.MustCompile(`^(- )?([-#>+=~_*]+|[0-9]+[.)]|   )([ \n]|$)`)
