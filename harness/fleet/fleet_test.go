package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"snatlab/harness/result"
)

// newRunner returns a runner of four nodes, whose writes and results it counts.
func newRunner(run func(ctx context.Context, node string) (*result.Result, error)) (r *Runner, kept *[]string) {
	var mu sync.Mutex
	kept = &[]string{}
	return &Runner{
		Nodes: []string{"n1", "n2", "n3", "n4"}, Scenario: result.ScenarioSummary{Name: "s", Hash: "h"}, Parallel: 2, Run: run,
		Keep: func(r *result.Result) error {
			mu.Lock()
			defer mu.Unlock()
			*kept = append(*kept, r.ID)
			return nil
		},
		Write: func(*result.Fleet) error { return nil },
		Note:  func(string, string) {},
	}, kept
}

func resultOf(node string) *result.Result {
	return &result.Result{ID: node, Verdict: result.Pass, Arms: []result.Arm{{Name: "a", Trials: []result.Trial{{Requests: 1}}}}}
}

// A node that fails is a row with its reason, and the others are run.
func TestNodeFails(t *testing.T) {
	r, kept := newRunner(func(_ context.Context, node string) (*result.Result, error) {
		switch node {
		case "n2":
			return nil, errors.New("no rule translates")
		case "n3":
			panic("a hole")
		}
		return resultOf(node), nil
	})
	f, err := r.RunAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, n := range f.Nodes {
		rows = append(rows, fmt.Sprintf("%s %s %s", n.Node, n.Status, n.Reason))
	}
	if want := []string{"n1 ok ", "n2 error no rule translates", "n3 error panic: a hole", "n4 ok "}; !slices.Equal(rows, want) {
		t.Errorf("got %q, want %q", rows, want)
	}
	slices.Sort(*kept)
	if !slices.Equal(*kept, []string{"n1", "n4"}) {
		t.Errorf("stored: %q", *kept)
	}
}

// An interrupted fleet is continued: finished nodes are not run again, failed ones are.
func TestContinue(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	r, _ := newRunner(func(ctx context.Context, node string) (*result.Result, error) {
		switch node {
		case "n2":
			return nil, errors.New("evicted")
		case "n3":
			interrupt(errors.New("interrupted"))
			return nil, context.Cause(ctx)
		}
		return resultOf(node), nil
	})
	r.Parallel = 1
	first, err := r.RunAll(ctx)
	if err == nil || first.Incomplete != "interrupted" || len(first.Nodes) != 2 {
		t.Errorf("%+v, %v", first, err)
	}
	var again []string
	r.Earlier, r.Run = first, func(_ context.Context, node string) (*result.Result, error) {
		again = append(again, node)
		return resultOf(node), nil
	}
	f, err := r.RunAll(t.Context())
	if err != nil || len(f.Nodes) != 4 || f.Incomplete != "" || !f.Nodes[0].Earlier {
		t.Errorf("%+v, %v", f, err)
	}
	if want := []string{"n2", "n3", "n4"}; !slices.Equal(again, want) {
		t.Errorf("run again: %q, want %q", again, want)
	}
	r.Scenario.Hash = "other"
	again = nil
	if _, err := r.RunAll(t.Context()); err != nil || len(again) != 4 {
		t.Errorf("of another scenario, run again: %q, %v", again, err)
	}
}

// At most so many nodes are run at a time.
func TestParallel(t *testing.T) {
	var mu sync.Mutex
	running, most := 0, 0
	both := make(chan struct{})
	r, _ := newRunner(func(_ context.Context, node string) (*result.Result, error) {
		mu.Lock()
		running++
		most = max(most, running)
		if running == 2 && node != "n3" && node != "n4" {
			close(both)
		}
		mu.Unlock()
		if node == "n1" || node == "n2" {
			<-both
		}
		mu.Lock()
		running--
		mu.Unlock()
		return resultOf(node), nil
	})
	if _, err := r.RunAll(t.Context()); err != nil || most != 2 {
		t.Errorf("%d at a time, %v", most, err)
	}
}
