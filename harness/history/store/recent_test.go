package store

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

func TestListRecent(t *testing.T) {
	t.Parallel()
	s := newStore(t, historytest.RunSpec{Day: 1}.MakeResult(), historytest.RunSpec{Day: 3}.MakeResult(), historytest.RunSpec{Day: 2}.MakeResult())
	all, _ := listAll(t, s)
	slices.Reverse(all)
	broken := filepath.Join(s.Dir(), "zz-broken")
	if err := os.Mkdir(broken, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "result.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	file, err := Open(t.TempDir() + "/none")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		store *Store
		most  int
		want  []result.RunSummary
	}{
		{"latest_first_without_broken_ones", t.Context(), s, 100, all},
		{"broken_ones_count", t.Context(), s, 2, all[:1]},
		{"none_asked_for", t.Context(), s, 0, nil},
		{"context_ended", ended, s, 100, nil},
		{"no_store", t.Context(), file, 100, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.store.ListRecent(c.ctx, c.most)
			same := func(a, b result.RunSummary) bool { return a.ID == b.ID }
			if !slices.EqualFunc(got, c.want, same) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
