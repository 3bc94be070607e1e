// Package resultfile reads and writes the files of results: result.json and
// matrix.json, and every other record of package result as JSON.
//
// A result may come from anywhere, so [ReadResult] and [DecodeResult] accept only what
// a run can have written. Results of before there were intervals are still read.
package resultfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"snatlab/harness/place"
	"snatlab/harness/printable"
	"snatlab/harness/result"
)

// The names of files in the folder of a run or of a matrix.
const (
	ResultName = "result.json"
	ReportName = "report.md"
	PageName   = "report.html"
	MatrixName = "matrix.json"
)

// ReadResult reads the result at path, which may also be the folder of a run.
func ReadResult(path string) (*result.Result, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, ResultName)
	}
	f, err := place.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("%s: %.1f MiB; no result is larger than %d MiB", path, float64(info.Size())/(1<<20), maxBytes>>20)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1)) // it may grow meanwhile
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("%s: no result is larger than %d MiB", path, maxBytes>>20)
	}
	r, err := parseResult(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// DecodeResult reads the text of a result, with the same bounds as [ReadResult].
func DecodeResult(text []byte) (*result.Result, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("no result is larger than %d MiB", maxBytes>>20)
	}
	return parseResult(text)
}

func parseResult(text []byte) (*result.Result, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the file is empty")
	}
	if err := checkText(text); err != nil {
		return nil, fmt.Errorf("not a snatlab result: %w", err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, notResult(err)
	}
	switch head.Schema {
	case result.Schema:
	case "":
		return nil, fmt.Errorf("not a snatlab result: it names no schema (this snatlab reads %s)", result.Schema)
	default:
		return nil, fmt.Errorf("schema %.100s; this snatlab reads %s", printable.Line(head.Schema), result.Schema)
	}
	r := new(result.Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, notResult(err)
	}
	if err := checkResult(r); err != nil {
		return nil, fmt.Errorf("not a snatlab result: %w", err)
	}
	upgrade(r)
	return r, nil
}

// notResult shortens the error of a JSON decoder, which may cite the whole text.
func notResult(err error) error {
	return fmt.Errorf("not a snatlab result: %.200s", printable.Line(err.Error()))
}
