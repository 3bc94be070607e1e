package resultfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A result that is read and written is unchanged.
func TestReadAndWrite(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../report/testdata/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no results: %v", err)
	}
	for _, path := range paths {
		r, err := ReadResult(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := WriteJSON(&got, r); err != nil || got.String() != string(want) {
			t.Errorf("%s changed: %v", path, err)
		}
	}
}

// A folder stands for the result in it.
func TestReadFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "result.json"), `{"schema": "snatlab.result/v1", "id": "here"}`)
	r, err := ReadResult(dir)
	if err != nil || r.ID != "here" {
		t.Errorf("got %v, %v", r, err)
	}
}

// Only a result of this schema is read.
func TestReadSchema(t *testing.T) {
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
			if _, err := ReadResult("result.json"); err == nil || err.Error() != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A file that is too large for a result is not read.
func TestReadLargeFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "result.json", "")
	if err := os.Truncate("result.json", maxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadResult("result.json"); err == nil || err.Error() != "result.json: 64.0 MiB; no result is larger than 64 MiB" {
		t.Errorf("got %v", err)
	}
}

// A missing file is reported as such.
func TestReadMissing(t *testing.T) {
	t.Parallel()
	if _, err := ReadResult("nowhere/result.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A result from a guest has the same bounds as a file.
func TestDecodeResult(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "the file is empty",
		`{"schema": "snatlab.result/v9"}`: "schema snatlab.result/v9; this snatlab reads snatlab.result/v1",
		strings.Repeat(" ", maxBytes+1):   "no result is larger than 64 MiB",
	} {
		if _, err := DecodeResult([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
