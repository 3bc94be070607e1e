package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestWhatAProbeSaidLastIsTold(t *testing.T) {
	const said = "exit code 1; its last output: "
	for _, test := range []struct {
		name   string
		pieces []string
		want   string
	}{
		{"nothing", nil, "exit code 1; it left no output"},
		{"little", []string{"one\n", "two\n"}, said + "one\ntwo"},
		{"exactly as much as is kept", []string{strings.Repeat("a", kept)}, said + strings.Repeat("a", kept)},
		{"one byte more", []string{"x" + strings.Repeat("a", kept)}, said + strings.Repeat("a", kept)},
		{"much at once", []string{strings.Repeat("x", 10*kept) + strings.Repeat("a", kept)}, said + strings.Repeat("a", kept)},
		{"much in pieces", slices.Concat(slices.Repeat([]string{"xxx"}, kept), slices.Repeat([]string{"aa"}, kept/2)), said + strings.Repeat("a", kept)},
	} {
		t.Run(test.name, func(t *testing.T) {
			words := &LastWords{}
			for _, p := range test.pieces {
				if n, err := fmt.Fprint(words, p); n != len(p) || err != nil {
					t.Fatalf("%d of %d bytes taken, %v", n, len(p), err)
				}
			}
			if got := words.After("exit code 1"); got != test.want {
				t.Errorf("%d bytes %.20q..., want %d bytes %.20q...", len(got), got, len(test.want), test.want)
			}
		})
	}
}
