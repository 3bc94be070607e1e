package main

import (
	"io"
	"strings"
	"testing"

	"snatlab/harness/scenario"
)

// A driver that only the scenario has is refused, and is not run as another one.
func TestUnknownDriver(t *testing.T) {
	t.Parallel()
	_, prepared := prepareMachine(t.Context(), &scenario.Scenario{Driver: "other"}, clusterFlags{})
	_, examined := examineDriver(t.Context(), io.Discard, "other", clusterFlags{})
	for _, err := range []error{prepared, examined} {
		if err == nil || !strings.HasPrefix(err.Error(), `driver "other": this program cannot run it`) {
			t.Error(err)
		}
	}
}

// A scenario may name every driver of the program.
func TestDriverNames(t *testing.T) {
	t.Parallel()
	for _, name := range driverNames {
		s := scenario.Default()
		if err := s.SetDriver(name); err != nil {
			t.Error(err)
		}
	}
}
