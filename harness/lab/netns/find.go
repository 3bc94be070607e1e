package netns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"snatlab/harness/undo"
)

// FindKeptRouter returns the file of the router's namespace of a lab that was kept, by its
// run. It is empty for a lab on Docker, whose router is the host.
func FindKeptRouter(run string) (path string, err error) {
	name := run + "-router"
	if !nameForm.MatchString(name) { // a name without folders
		return "", fmt.Errorf("%q is neither a run nor a process", run)
	}
	path = filepath.Join(namesDir, name)
	_, err = os.Stat(path)
	if err == nil {
		return path, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("look for the lab of run %s: %w (run as root)", run, err)
	}
	journals, err := undo.FindJournals(undo.Dir)
	if err != nil {
		return "", fmt.Errorf("look for the lab of run %s: %w", run, err)
	}
	if slices.ContainsFunc(journals, func(j string) bool { return runOf(j) == run }) {
		return "", nil
	}
	return "", fmt.Errorf("run %s has no lab on this host that was kept as root; for one that another user keeps, give its process", run)
}

// runOf returns the run of a journal.
func runOf(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

// FindRouterThread returns the thread that is in the router's namespace, of a process
// that has a lab: of a run without root, the child in its user namespace. The main thread
// of such a process is in another network namespace.
func FindRouterThread(pid int) (thread int, err error) {
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return 0, fmt.Errorf("look for the lab of process %d: %w", pid, err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, fmt.Errorf("look for the lab of process %d: %w", pid, err)
	}
	for _, t := range threads {
		there, err := os.Readlink(fmt.Sprintf("/proc/%d/task/%s/ns/net", pid, t.Name()))
		if err == nil && there != home {
			return strconv.Atoi(t.Name())
		}
	}
	for _, child := range childrenOf(pid) {
		if thread, err := FindRouterThread(child); err == nil {
			return thread, nil
		}
	}
	return 0, fmt.Errorf("process %d has no lab in network namespaces", pid)
}

// childrenOf returns the children of a process. A run without root has one, in its user
// namespace.
func childrenOf(pid int) (children []int) {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, p := range processes {
		child, err := strconv.Atoi(p.Name())
		if err == nil && parentOf(child) == pid {
			children = append(children, child)
		}
	}
	return children
}

// parentOf returns the parent of a process, or 0 (proc_pid_stat(5)). The name of the
// program, in parentheses, may hold any characters.
func parentOf(pid int) (parent int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) > 1 {
		parent, _ = strconv.Atoi(fields[1])
	}
	return parent
}
