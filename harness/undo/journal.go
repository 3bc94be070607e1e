package undo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is the folder of the journals.
const Dir = "/run/snatlab"

const journalSuffix = ".journal"

// Journal is the record of one run. Its file holds a header and then one record
// on each line. It is removed when everything is undone.
type Journal struct {
	path string
	file *os.File // nil: the journal is kept in memory
	how  Undoers
	open []Entry // changes that were made and not undone, oldest first
	next int
	boot string // the boot in which it was written; empty if it is not recorded
	kept bool
}

// Entry is a step in a journal.
type Entry struct {
	number int
	Step   Step
}

// CreateJournal starts the journal of a run in dir. It makes dir if there is none.
func CreateJournal(dir, run string, how Undoers) (*Journal, error) {
	folder, err := makeFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of journals: %w", err)
	}
	defer folder.Close()
	file, err := folder.openTrusted(run+journalSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	j := &Journal{path: file.Name(), file: file, how: how}
	// The lock is held until this process ends or closes the file: see IsActive.
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		err = fmt.Errorf("lock journal: %w", err)
	} else {
		err = j.writeRecord(journalRecord{Header: newHeader(run)})
	}
	if err != nil {
		return nil, errors.Join(err, j.removeFile())
	}
	return j, nil
}

// InMemory starts a journal for changes that always end with this process, such as
// those in a network namespace that no other process holds.
func InMemory(how Undoers) *Journal { return &Journal{how: how} }

// FindJournals returns the paths of the journals in dir, oldest run first. If
// another user can write to dir it returns an *[UntrustedError] and no path.
func FindJournals(dir string) ([]string, error) {
	folder, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for journals: %w", err)
	}
	names, err := folder.listFiles(journalSuffix)
	for i, name := range names {
		names[i] = filepath.Join(dir, name)
	}
	return names, errors.Join(err, folder.Close())
}

// IsActive reports whether the process that writes a journal still has it open. No
// other process may undo such a journal without being asked to.
func IsActive(path string) bool {
	file, err := openJournalFile(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func openJournalFile(path string, flags int) (*os.File, error) {
	folder, err := openFolder(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	defer folder.Close()
	file, err := folder.openTrusted(filepath.Base(path), flags)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return file, nil
}

// OpenJournal opens a journal that another process left behind. An incomplete last
// line is cut off: its process died while it wrote the line, so the change that the
// line announces was not made.
func OpenJournal(path string, how Undoers) (*Journal, error) {
	file, err := openJournalFile(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, file: file, how: how}
	if err := j.loadRecords(); err != nil {
		return nil, errors.Join(fmt.Errorf("read journal %s: %w", path, err), j.Leave())
	}
	return j, nil
}

// ReadJournal reads a journal that another process may have open. The file stays as
// it is, even if steps of the journal are undone.
func ReadJournal(path string, how Undoers) (*Journal, error) {
	file, err := openJournalFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	j := &Journal{path: path, how: how}
	if _, _, err := j.replayRecords(file); err != nil {
		return nil, fmt.Errorf("read journal %s: %w", path, err)
	}
	return j, nil
}

// loadRecords reads the file, and cuts off an incomplete last record.
func (j *Journal) loadRecords() error {
	whole, torn, err := j.replayRecords(j.file)
	if err != nil || !torn {
		return err
	}
	return j.file.Truncate(whole)
}

// Do records the step that undoes a change, and then makes the change. A change
// that fails may have been made in part, so its step stays in the journal.
//
// A change that has begun is not cancelled when ctx ends: another program may be
// making it, and could finish it after it was undone.
func (j *Journal) Do(ctx context.Context, s Step, change func(context.Context) error) (Entry, error) {
	if ctx.Err() != nil {
		return Entry{number: -1}, context.Cause(ctx)
	}
	if err := s.checkBounds(); err != nil {
		return Entry{number: -1}, fmt.Errorf("write journal: %w", err)
	}
	e := Entry{number: j.next, Step: s}
	if err := j.writeRecord(journalRecord{Do: &changeRecord{Number: e.number, Step: s}}); err != nil {
		return e, err
	}
	j.next++
	j.open = append(j.open, e)
	maybeCrash(ctx, beforeChange, s)
	err := change(Context(ctx))
	maybeCrash(ctx, afterChange, s)
	return e, err
}

// Undo undoes one change. It does nothing if the change is undone already.
func (j *Journal) Undo(ctx context.Context, e Entry) error {
	if !slices.ContainsFunc(j.open, func(o Entry) bool { return o.number == e.number }) {
		return nil
	}
	maybeCrash(ctx, beforeUndo, e.Step)
	if err := j.how.undoStep(ctx, e.Step); err != nil {
		return fmt.Errorf("undo %s: %w", e.Step.What, err)
	}
	maybeCrash(ctx, afterUndo, e.Step)
	j.markUndone(e.number)
	return j.writeRecord(journalRecord{Undone: &e.number})
}

// Steps returns the steps that are not undone, in the order in which they will be.
func (j *Journal) Steps() []Step {
	var steps []Step
	for _, e := range slices.Backward(j.open) {
		steps = append(steps, e.Step)
	}
	return steps
}

// Keep closes the journal and leaves its changes because the user asked for it.
// `snatlab cleanup` undoes them.
func (j *Journal) Keep() error {
	if err := j.writeRecord(journalRecord{Kept: true}); err != nil {
		return err
	}
	j.kept = true
	return j.Leave()
}

// Leave closes the file of the journal. It undoes nothing and removes nothing.
func (j *Journal) Leave() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// RunID returns the id of the run that the journal belongs to. It is empty for a
// journal in memory.
func (j *Journal) RunID() string {
	if j.path == "" {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(j.path), journalSuffix)
}

// IsKept reports whether the changes were left because the user asked for it, and
// not by a crash.
func (j *Journal) IsKept() bool { return j.kept }

// IsOfThisBoot reports whether the changes in the journal can still exist. A journal
// that does not record its boot counts as one of this boot.
func (j *Journal) IsOfThisBoot() bool { return j.boot == "" || bootID() == "" || j.boot == bootID() }

// Discard removes the journal without undoing anything.
func (j *Journal) Discard() error {
	j.open = nil
	return j.removeFile()
}

// Close undoes all remaining steps, newest first, and removes the journal. If a step
// cannot be undone, Close continues with the others and returns the failed ones in
// a *[LeftError]. Close may be called again.
func (j *Journal) Close(ctx context.Context) error {
	var left []Left
	var panicked any
	for _, e := range slices.Backward(slices.Clone(j.open)) {
		if err := j.undoTwice(ctx, e, &panicked); err != nil {
			left = append(left, Left{Step: e.Step, Err: err})
		}
	}
	if left != nil {
		return &LeftError{Left: left}
	}
	err := j.removeFile()
	if panicked != nil {
		panic(panicked)
	}
	return err
}

// removeFile removes the file of the journal and closes it.
func (j *Journal) removeFile() error {
	if j.file == nil {
		return nil
	}
	err := removeJournal(j.path)
	if err != nil {
		return fmt.Errorf("remove journal: %w", err)
	}
	if err := j.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close journal: %w", err)
	}
	return nil
}

// removeJournal removes the file at path. A missing file is no error.
func removeJournal(path string) error {
	folder, err := openFolder(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(folder.removeFile(filepath.Base(path)), folder.Close())
}

// undoTwice undoes a step, and tries once more after an error: the signal that ended
// the run may have caused the error.
func (j *Journal) undoTwice(ctx context.Context, e Entry, panicked *any) error {
	if j.undoGuarded(ctx, e, panicked) == nil {
		return nil
	}
	return j.undoGuarded(ctx, e, panicked)
}

// undoGuarded undoes a step and stores a panic in panicked, so that the other steps
// are undone before the panic continues.
func (j *Journal) undoGuarded(ctx context.Context, e Entry, panicked *any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			*panicked, err = p, fmt.Errorf("undo %s: panic: %v", e.Step.What, p)
		}
	}()
	return j.Undo(ctx, e)
}

func (j *Journal) markUndone(number int) {
	j.open = slices.DeleteFunc(j.open, func(e Entry) bool { return e.number == number })
}

func (j *Journal) writeRecord(r journalRecord) error {
	if j.file == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	end, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if end+int64(len(line)) >= maxSize {
		return fmt.Errorf("write journal: %s is full (%d MiB); nothing more is changed", j.path, maxSize>>20)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		// A full disk may take half a record, and the next one would follow it on the same line.
		return errors.Join(fmt.Errorf("write journal: %w", err), j.file.Truncate(end))
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}
