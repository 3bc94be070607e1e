package result

import "slices"

// The ways in which a resolver sends the two queries of a look-up, other than both at once
// from one socket. They have the names of the options of resolv.conf(5).
const (
	SingleRequest       = "single-request"        // that for AAAA when that for A was answered
	SingleRequestReopen = "single-request-reopen" // likewise, from a new socket
	UseVC               = "use-vc"                // both over one connection of TCP
)

// InLockstep reports whether the clients of a pattern send from the same source ports at
// the same moment.
func InLockstep(pattern string) bool { return pattern == Lockstep || pattern == DNS }

// Unanswered are the look-ups that took longer than the timeout, by the queries that had
// no answer by then. Of both queries one may never have been sent: see [SingleRequest].
type Unanswered struct {
	A    int `json:"a"`    // only that for A
	AAAA int `json:"aaaa"` // only that for AAAA
	Both int `json:"both"`
}

// Sum returns the number of the look-ups.
func (u Unanswered) Sum() int { return u.A + u.AAAA + u.Both }

// Add adds others.
func (u *Unanswered) Add(other Unanswered) {
	u.A, u.AAAA, u.Both = u.A+other.A, u.AAAA+other.AAAA, u.Both+other.Both
}

// ComparesLatency reports whether the latencies of the arm can be held against those of the
// baseline. They cannot if its clients send the queries of look-ups in another way, or if its
// packets pass no NAT.
func (a Arm) ComparesLatency() bool {
	return !slices.ContainsFunc(a.SettingValues, func(s Setting) bool { return s.Key == KeyResolver || s.Key == KeyNoTrack })
}

// SumUnanswered returns the sum of the arm's trials; nil if its requests are no look-ups.
func (a Arm) SumUnanswered() (sum *Unanswered) {
	for _, t := range a.Trials {
		if t.Unanswered == nil {
			continue
		}
		if sum == nil {
			sum = &Unanswered{}
		}
		sum.Add(*t.Unanswered)
	}
	return sum
}

// ClashesResolved returns how many clashes the kernel resolved in all trials, those of the
// controls included; nil if it does not count them.
func (r *Result) ClashesResolved() (sum *uint64) {
	for _, a := range r.Arms {
		for _, t := range a.Trials {
			if n := t.Conntrack.ClashResolve; n != nil {
				if sum == nil {
					sum = new(uint64)
				}
				*sum += *n
			}
		}
	}
	return sum
}
