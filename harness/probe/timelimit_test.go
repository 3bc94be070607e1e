package probe

import (
	"testing"
	"time"
)

// A load gets the time that it can take, and not much more.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	lockstep := func(clients, cpus int) *LockstepPart { return &LockstepPart{Clients: clients, CPUs: cpus} }
	for _, test := range []struct {
		what        string
		load        ClientLoad
		files       int
		least, most time.Duration
	}{
		{"the path check", ClientLoad{Requests: 1, Timeout: 900 * time.Millisecond, Concurrency: 1}, 20_000, slack, 20 * time.Second},
		{"a small load", ClientLoad{Requests: 100, Timeout: 500 * time.Millisecond, Lockstep: lockstep(2, 2)}, 20_000, slack, 30 * time.Second},
		{"a small everyday load", ClientLoad{Requests: 100, Timeout: 500 * time.Millisecond, Concurrency: 64}, 20_000, slack, 20 * time.Second},
		{"the default load", ClientLoad{Requests: 3000, Timeout: 500 * time.Millisecond, Lockstep: lockstep(2, 2)}, 20_000, 5 * time.Minute, 6 * time.Minute},
		{"groups that take turns", ClientLoad{Requests: 2000, Timeout: 500 * time.Millisecond, Lockstep: lockstep(16, 2)}, 20_000, 20 * time.Minute, 30 * time.Minute},
		{"all in vain, one by one", ClientLoad{Requests: 100, Timeout: 900 * time.Millisecond, Concurrency: 1}, 20_000, 90 * time.Second, 2 * time.Minute},
		{"all in vain, few files", ClientLoad{Requests: 1000, Timeout: 900 * time.Millisecond, Concurrency: 64}, 34, 450 * time.Second, 10 * time.Minute},
		{"lockstep with few files", ClientLoad{Requests: 1000, Timeout: 900 * time.Millisecond, Lockstep: lockstep(2, 2)}, 34, 900 * time.Second, 20 * time.Minute},
		{"a slow rate", ClientLoad{Requests: 100, Timeout: 500 * time.Millisecond, Rate: 1, Concurrency: 64}, 20_000, 100 * time.Second, 4 * time.Minute},
	} {
		if got := test.load.TimeLimit(test.files); got < test.least || got > test.most || got%time.Second != 0 {
			t.Errorf("%s: %v, want %v to %v, in whole seconds", test.what, got, test.least, test.most)
		}
	}
}
