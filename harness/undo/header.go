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

// header is the first record: whose the journal is.
type header struct {
	Version int       `json:"version"`
	Run     string    `json:"run"`
	PID     int       `json:"pid"`
	Start   uint64    `json:"start,omitempty"` // of that process: see startOf
	Boot    string    `json:"boot,omitempty"`  // see boot
	Started time.Time `json:"started"`
}

func newHeader(run string) *header {
	return &header{Version: version, Run: run, PID: os.Getpid(), Start: startOf(os.Getpid()), Boot: boot(), Started: time.Now()}
}

// Owner says whose a journal is, as far as it tells:
// "run 20260102-030405-c0ffee, pid 4711, since 2026-01-02 03:04:05".
func Owner(path string) string {
	h := readHeader(path)
	if h == nil {
		return "a run"
	}
	return h.owner()
}

// Unfinished returns the steps in dir that this process has journalled, not
// undone, and not left on the user's word, in the order in which they are to be
// undone.
func Unfinished(dir string) (steps []Step) {
	paths, _ := Find(dir) // this process writes to no folder that cannot be listed
	for _, path := range paths {
		if h := readHeader(path); h == nil || h.PID != os.Getpid() || h.Start != startOf(h.PID) || !Alive(path) {
			continue
		}
		if j, err := Read(path, nil); err == nil {
			steps = append(steps, j.Steps()...)
		}
	}
	return steps
}

// readHeader returns nil if the header is being written, or is none of ours.
func readHeader(path string) *header {
	file, err := openJournal(path, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return nil
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var r record
	if json.Unmarshal(line, &r) != nil || r.Header == nil || r.Header.check() != nil {
		return nil
	}
	return r.Header
}

// owner names the process only if it is that one still: numbers are given again.
func (h *header) owner() string {
	who := "run " + h.Run
	if h.Start == 0 || h.Start == startOf(h.PID) {
		who += fmt.Sprintf(", pid %d", h.PID)
	}
	return who + ", since " + h.Started.Local().Format(time.DateTime)
}

// boot is the id of this boot; empty where it cannot be read.
func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// startOf gives the time when a process was started, in clock ticks since boot:
// with its number it is known for good. 0: there is no such process.
func startOf(pid int) uint64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is the program's name, and may have anything in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0
	}
	start, _ := strconv.ParseUint(string(fields[19]), 10, 64) // field 22, proc(5)
	return start
}
