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

// journalHeader is the first record of a journal. It identifies the run.
type journalHeader struct {
	Version int       `json:"version"`
	Run     string    `json:"run"`
	PID     int       `json:"pid"`
	Start   uint64    `json:"start,omitempty"` // start time of that process: see processStart
	Boot    string    `json:"boot,omitempty"`  // see bootID
	Started time.Time `json:"started"`
}

func newHeader(run string) *journalHeader {
	return &journalHeader{Version: journalVersion, Run: run, PID: os.Getpid(), Start: processStart(os.Getpid()), Boot: bootID(), Started: time.Now()}
}

// DescribeOwner returns a description of the run of a journal, from its header:
// "run 20260102-030405-c0ffee (pid 4711, started 2026-01-02 03:04:05)".
func DescribeOwner(path string) string {
	h := readJournalHeader(path)
	if h == nil {
		return "a run"
	}
	return h.describeOwner()
}

// UnfinishedSteps returns the steps that this process recorded in the journals of
// dir and has neither undone nor kept, in the order in which they must be undone.
func UnfinishedSteps(dir string) (steps []Step) {
	paths, _ := FindJournals(dir) // this process writes only to folders that can be listed
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

// readJournalHeader returns the header of the journal at path; nil if it is still
// being written, or is not a valid header.
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

// describeOwner names the process only if it is still the same one: the kernel reuses
// process numbers.
func (h *journalHeader) describeOwner() string {
	process := ""
	if h.Start == 0 || h.Start == processStart(h.PID) {
		process = fmt.Sprintf("pid %d, ", h.PID)
	}
	return fmt.Sprintf("run %s (%sstarted %s)", h.Run, process, h.Started.Local().Format(time.DateTime))
}

// bootID returns the id of this boot; empty if it cannot be read.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// processStart returns the time when a process was started, in clock ticks since
// boot; 0 if there is no such process. Number and start time identify a process.
func processStart(pid int) uint64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is the program's name, which may contain any character.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	start, _ := strconv.ParseUint(string(fields[19]), 10, 64) // field 22, proc(5)
	return start
}
