package result

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

// Resolver returns how the clients of the arm send the queries of a look-up: see
// [SingleRequest]. It is empty for both at once, and for requests that are no look-ups.
func (a Arm) Resolver() string {
	for _, s := range a.SettingValues {
		if s.Part == PartClients && s.Key == KeyResolver {
			return s.Value
		}
	}
	return ""
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
