package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The end of what a probe writes is kept, however it is written.
func TestStderrTail(t *testing.T) {
	t.Parallel()
	const said = "exit code 1; its last output: "
	for _, test := range []struct {
		name   string
		pieces []string
		want   string
	}{
		{"nothing", nil, "exit code 1; it left no output"},
		{"little", []string{"one\n", "two\n"}, said + "one\ntwo"},
		{"exactly as much as is kept", []string{strings.Repeat("a", stderrKept)}, said + strings.Repeat("a", stderrKept)},
		{"one byte more", []string{"x" + strings.Repeat("a", stderrKept)}, said + strings.Repeat("a", stderrKept)},
		{"much at once", []string{strings.Repeat("x", 10*stderrKept) + strings.Repeat("a", stderrKept)}, said + strings.Repeat("a", stderrKept)},
		{"much in pieces", slices.Concat(slices.Repeat([]string{"xxx"}, stderrKept), slices.Repeat([]string{"aa"}, stderrKept/2)), said + strings.Repeat("a", stderrKept)},
	} {
		t.Run(test.name, func(t *testing.T) {
			tail := &StderrTail{}
			for _, p := range test.pieces {
				if n, err := fmt.Fprint(tail, p); n != len(p) || err != nil {
					t.Fatalf("%d of %d bytes written, %v", n, len(p), err)
				}
			}
			if got := tail.DescribeEnd("exit code 1"); got != test.want {
				t.Errorf("%d bytes %.20q..., want %d bytes %.20q...", len(got), got, len(test.want), test.want)
			}
		})
	}
}
