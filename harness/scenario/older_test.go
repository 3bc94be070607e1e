package scenario

import (
	"path/filepath"
	"testing"
)

// Scenarios that earlier versions came with are read.
func TestOlderScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/older/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if _, err := Read(file); err != nil {
			t.Error(err)
		}
	}
}
