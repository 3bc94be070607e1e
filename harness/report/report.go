// Package report draws a result for people and programs. Every report is a
// function from a result to a writer, and says nothing that the result does
// not hold; sums over its trials are all it derives.
//
// Medians stand with their 95 % intervals, and comparisons with their p: what
// these mean is said in package verdict. "~" is a change of latency that chance
// explains, "-" a figure that there is not. Warnings are footnotes.
//
// [Text] is for the end of a run on a terminal: the answer stands last.
// [Markdown] is for a pull request or a wiki: the answer stands first, and
// every trial is in it. [JSON] is result.json itself, which [Read] reads.
// [Progress] is what is seen while a run goes on.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"snatlab/harness/place"
	"snatlab/harness/result"
)

// FileName is the name of a result in the folder of its run.
const FileName = "result.json"

// JSON writes the result as it is stored.
func JSON(w io.Writer, r *result.Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // rules hold < and >
	return e.Encode(r)
}

// Read reads the result at path, which may also be the folder of a run.
func Read(path string) (*result.Result, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
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
	r, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func decode(text []byte) (*result.Result, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("the file is empty")
	}
	if err := bounded(text); err != nil {
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
		return nil, fmt.Errorf("schema %.100s; this snatlab reads %s", plain(head.Schema), result.Schema)
	}
	r := new(result.Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, notResult(err)
	}
	if err := within(r); err != nil {
		return nil, fmt.Errorf("not a snatlab result: %w", err)
	}
	renew(r)
	return r, nil
}

// notResult says what JSON has against a text. It may cite all of that.
func notResult(err error) error {
	return fmt.Errorf("not a snatlab result: %.200s", plain(err.Error()))
}
