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

// Dir is where journals lie.
const Dir = "/run/snatlab"

const journalSuffix = ".journal"

// Journal is the record of one run. Its file has a header and then one line a
// record; it is removed when all is undone.
type Journal struct {
	path string
	file *os.File // nil: the journal is kept in memory
	how  Undoers
	open []Entry // made and not undone, oldest first
	next int
	boot string // in which it was written; empty if it does not say
	kept bool
}

// Entry is a step that was journalled.
type Entry struct {
	number int
	Step   Step
}

// CreateJournal starts the journal of a run in dir, which is made if need be.
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
	// Held until this process ends or closes the file: see IsActive.
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

// InMemory starts a journal for changes that end with this process whatever
// happens to it, such as those inside a network namespace that only it holds.
func InMemory(how Undoers) *Journal { return &Journal{how: how} }

// FindJournals lists the journals in dir, oldest run first. A folder that another user
// can write to is an *[UntrustedError]; its journals are not listed.
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

// IsActive reports whether the process that keeps a journal still works with it.
// Its journal is nobody else's to undo.
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

// OpenJournal reads a journal that another process left behind. A last line that is
// torn was being written when its process died: the change it announces was
// not made.
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

// ReadJournal reads a journal that another process may be working with. Whatever is
// undone of it, its file stays, as it is.
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

// loadRecords reads the file, and cuts a torn record off.
func (j *Journal) loadRecords() error {
	whole, torn, err := j.replayRecords(j.file)
	if err != nil || !torn {
		return err
	}
	return j.file.Truncate(whole)
}

// Do writes down what undoes a change, and then makes the change. If the
// change fails it may have been made in part, so its step stays to be undone.
//
// A change that has begun is not cut short when ctx ends: whoever makes it may
// go on with it for a while, and finish it after it was undone.
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

// Undo undoes one change; one that is undone already is left alone.
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

// Steps lists what has not been undone, in the order in which it will be.
func (j *Journal) Steps() []Step {
	var steps []Step
	for _, e := range slices.Backward(j.open) {
		steps = append(steps, e.Step)
	}
	return steps
}

// Keep ends the journal and leaves its changes, on the user's word, for
// `snatlab cleanup` to undo.
func (j *Journal) Keep() error {
	if err := j.writeRecord(journalRecord{Kept: true}); err != nil {
		return err
	}
	j.kept = true
	return j.Leave()
}

// Leave closes the file of a journal, and leaves everything as it is.
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

// IsKept tells that the changes were left on the user's word, and not by a crash.
func (j *Journal) IsKept() bool { return j.kept }

// IsOfThisBoot tells whether what the journal describes can still exist. One that
// does not say which boot it is of may be of this one.
func (j *Journal) IsOfThisBoot() bool { return j.boot == "" || bootID() == "" || j.boot == bootID() }

// Discard removes the journal and undoes nothing.
func (j *Journal) Discard() error {
	j.open = nil
	return j.removeFile()
}

// Close undoes all that is left, newest first, and removes the journal. A step
// that cannot be undone does not keep the others from being undone; what is
// left is told in a *LeftError. Close may be called again.
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

// removeFile ends the journal.
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

// removeJournal removes a file. One that is gone is no error.
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

// undoTwice gives a step a second chance: what stood in its way may have been
// the very signal that ended the run.
func (j *Journal) undoTwice(ctx context.Context, e Entry, panicked *any) error {
	if j.undoGuarded(ctx, e, panicked) == nil {
		return nil
	}
	return j.undoGuarded(ctx, e, panicked)
}

// undoGuarded puts a panic off: it must not keep the other steps from being undone.
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
		// A full disk takes half a record, to which the next would be glued.
		return errors.Join(fmt.Errorf("write journal: %w", err), j.file.Truncate(end))
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}
