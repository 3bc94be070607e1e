package undo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"snatlab/harness/format"
	"snatlab/harness/printable"
)

// journalRecord is one line of the file. Exactly one part is set.
type journalRecord struct {
	Header *journalHeader `json:"header,omitempty"`
	Do     *changeRecord  `json:"do,omitempty"`
	Undone *int           `json:"undone,omitempty"`
	Kept   bool           `json:"kept,omitempty"`
}

type changeRecord struct {
	Number int  `json:"number"`
	Step   Step `json:"step"`
}

const journalVersion = 1

// These constants bound the contents of a journal, so that reading one fills neither
// the memory nor the terminal. A run has some hundred changes open at a time, and
// the longest step is a rule of the packet filter.
const (
	maxRecordBytes = 2 << 20  // bytes of a record
	maxKindBytes   = 64       // bytes
	maxTextBytes   = 64 << 10 // bytes of What, and of Manual
	maxArgsBytes   = 1 << 20  // bytes
	maxOpen        = 10_000   // changes that are not undone yet
)

// checkBounds returns an error if a part of the step is longer than allowed.
func (s Step) checkBounds() error {
	for _, c := range []struct {
		field     string
		size, max int
	}{{"kind", len(s.Kind), maxKindBytes}, {"what", len(s.What), maxTextBytes}, {"manual", len(s.Manual), maxTextBytes}, {"args", len(s.Args), maxArgsBytes}} {
		if c.size > c.max {
			return fmt.Errorf("the %s of a step has %s; at most %s are allowed", c.field, format.Plural(c.size, "byte", "bytes"), format.Thousands(c.max))
		}
	}
	return nil
}

// runNames matches the id of a run.
var runNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func (h *journalHeader) checkHeader() error {
	switch {
	case h.Version != journalVersion:
		return fmt.Errorf("not a journal of version %d", journalVersion)
	case !runNames.MatchString(h.Run):
		return fmt.Errorf("not a journal: its run is %.130q, which is no run's id", h.Run)
	}
	return nil
}

// replayRecords replays the records of a file. It returns the length of the complete
// records; torn reports whether an incomplete one follows them.
func (j *Journal) replayRecords(file io.Reader) (whole int64, torn bool, err error) {
	lines := bufio.NewReaderSize(file, maxRecordBytes)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return whole, len(line) > 0, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, false, fmt.Errorf("record %d: longer than %d MiB", n, maxRecordBytes>>20)
		case err != nil:
			return 0, false, err
		}
		if err := j.applyRecord(n, line); err != nil {
			return 0, false, err
		}
		whole += int64(len(line))
	}
}

// applyRecord applies the n-th record of a file to j.
func (j *Journal) applyRecord(n int, line []byte) error {
	var r journalRecord
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("record %d: %w", n, err)
	}
	switch {
	case n == 1 && r.Header == nil:
		return fmt.Errorf("not a journal of version %d", journalVersion)
	case r.countParts() != 1:
		return fmt.Errorf("record %d: neither a change nor an undoing", n)
	case n == 1:
		j.boot = r.Header.Boot
		return r.Header.checkHeader()
	case r.Do != nil:
		if err := j.applyChange(*r.Do); err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
	case r.Undone != nil:
		j.markUndone(*r.Undone)
	case r.Kept:
		j.kept = true
	default:
		return fmt.Errorf("record %d: a second header", n)
	}
	return nil
}

// countParts returns the number of parts that are set.
func (r journalRecord) countParts() (n int) {
	for _, set := range []bool{r.Header != nil, r.Do != nil, r.Undone != nil, r.Kept} {
		if set {
			n++
		}
	}
	return n
}

// applyChange adds a change of a file to j. Its texts will be printed, so they are
// made printable: another program may have written the file.
func (j *Journal) applyChange(d changeRecord) error {
	if len(j.open) == maxOpen {
		return fmt.Errorf("more than %s changes that are not undone, which no run makes", format.Thousands(maxOpen))
	}
	if err := d.Step.checkBounds(); err != nil {
		return err
	}
	d.Step.What, d.Step.Manual = printable.Line(d.Step.What), printable.Line(d.Step.Manual)
	j.open = append(j.open, Entry{number: d.Number, Step: d.Step})
	j.next = max(j.next, d.Number+1)
	return nil
}

// decodeStrictly reads arguments and refuses an unknown field: it may change the
// meaning of the others.
func decodeStrictly(raw json.RawMessage, args any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(args); err != nil {
		return fmt.Errorf("read arguments: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("read arguments: there is more data after them")
	}
	return nil
}
