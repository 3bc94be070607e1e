package undo

import (
	"path/filepath"
	"strings"
)

// Run returns the id of the run that the journal belongs to. It is empty for a
// journal in memory.
func (j *Journal) Run() string {
	if j.path == "" {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(j.path), suffix)
}
