package undo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// journalHeader is the first record: whose the journal is.
type journalHeader struct {
	Version int       `json:"version"`
	Run     string    `json:"run"`
	PID     int       `json:"pid"`
	Start   uint64    `json:"start,omitempty"` // of that process: see processStart
	Boot    string    `json:"boot,omitempty"`  // see boot
	Started time.Time `json:"started"`
}

func newHeader(run string) *journalHeader {
	return &journalHeader{Version: journalVersion, Run: run, PID: os.Getpid(), Start: processStart(os.Getpid()), Boot: bootID(), Started: time.Now()}
}

// DescribeOwner says whose a journal is, as far as it tells:
// "run 20260102-030405-c0ffee, pid 4711, since 2026-01-02 03:04:05".
func DescribeOwner(path string) string {
	h := readJournalHeader(path)
	if h == nil {
		return "a run"
	}
	return h.describeOwner()
}

// UnfinishedSteps returns the steps in dir that this process has journalled, not
// undone, and not left on the user's word, in the order in which they are to be
// undone.
func UnfinishedSteps(dir string) (steps []Step) {
	paths, _ := FindJournals(dir) // this process writes to no folder that cannot be listed
	for _, path := range paths {
		if h := readJournalHeader(path); h == nil || h.PID != os.Getpid() || h.Start != processStart(h.PID) || !IsActive(path) {
			continue
		}
		if j, err := ReadJournal(path, nil); err == nil {
			steps = append(steps, j.Steps()...)
		}
	}
	return steps
}

// readJournalHeader returns nil if the header is being written, or is none of ours.
func readJournalHeader(path string) *journalHeader {
	file, err := openJournalFile(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return nil
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var r journalRecord
	if json.Unmarshal(line, &r) != nil || r.Header == nil || r.Header.checkHeader() != nil {
		return nil
	}
	return r.Header
}

// describeOwner names the process only if it is that one still: numbers are given again.
func (h *journalHeader) describeOwner() string {
	who := "run " + h.Run
	if h.Start == 0 || h.Start == processStart(h.PID) {
		who += fmt.Sprintf(", pid %d", h.PID)
	}
	return who + ", since " + h.Started.Local().Format(time.DateTime)
}

// bootID is the id of this boot; empty where it cannot be read.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// processStart gives the time when a process was started, in clock ticks since boot:
// with its number it is known for good. 0: there is no such process.
func processStart(pid int) uint64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is the program's name, and may have anything in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	start, _ := strconv.ParseUint(string(fields[19]), 10, 64) // field 22, proc(5)
	return start
}
