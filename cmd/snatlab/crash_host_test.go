package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

// images returns the ids and names of the images with our label. A run leaves its
// probe image, so the caller makes that first.
func (h host) images(t *testing.T) (all []string) {
	t.Helper()
	list, err := h.docker.ImageList(t.Context(), image.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", "snatlab.probe"))})
	must(t, err)
	for _, i := range list {
		all = append(all, i.ID+" "+strings.Join(i.RepoTags, " "))
	}
	slices.Sort(all)
	return all
}

// nothingRuns waits for the end of the processes that a dead process had started.
// Processes in containers end with the containers.
func nothingRuns(t *testing.T) {
	t.Helper()
	var left []string
	for begun := time.Now(); time.Since(begun) < 2*time.Second; time.Sleep(5 * time.Millisecond) { // there is no event to wait for
		left = nil
		paths, err := filepath.Glob("/proc/[0-9]*/exe")
		must(t, err)
		for _, path := range paths {
			if program, _ := os.Readlink(path); strings.HasPrefix(program, filepath.Dir(binary)+"/") {
				left = append(left, filepath.Base(filepath.Dir(path))+" "+program)
			}
		}
		if left == nil {
			return
		}
	}
	t.Errorf("processes are left: %v", left)
}
