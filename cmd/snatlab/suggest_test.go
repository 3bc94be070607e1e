package main

import (
	"strings"
	"testing"
)

func TestDidYouMean(t *testing.T) {
	names := []string{"rounds", "run", "runs", "out"}
	for _, c := range []struct{ name, typed, want string }{
		{"swapped letters", "rnu", "; did you mean --run?"},
		{"a letter that is missing", "rouds", "; did you mean --rounds?"},
		{"the beginning of several", "ru", "; did you mean --run or --runs?"},
		{"a letter that is wrong", "oup", "; did you mean --out?"},
		{"a letter too many", "rounnds", "; did you mean --rounds?"},
		{"capitals", "OUT", "; did you mean --out?"},
		{"nothing near", "frobnicate", ""},
		{"nothing typed", "", ""},
		{"a file", strings.Repeat("a", 1<<20), ""},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			if got := didYouMean(c.typed, names, "--"); got != c.want {
				t.Errorf("didYouMean(%q) is %q, want %q", c.typed, got, c.want)
			}
		})
	}
}
