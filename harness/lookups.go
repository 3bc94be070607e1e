package harness

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/probe"
	"snatlab/harness/result"
)

// prepareLookups has the server answer DNS queries from now on.
func (x *experiment) prepareLookups() error {
	for _, c := range x.lab.Clients() {
		if n := len(c.Hello.CPUs); n < x.Load.Threads {
			return fmt.Errorf("load.threads: each client sends from %d threads, each on a CPU of its own, and may run on %s", x.Load.Threads, format.Plural(n, "CPU", "CPUs"))
		}
	}
	x.lab.AnswerLookups()
	return nil
}

// newLookups returns how a client makes look-ups in an arm with this resolver; nil for a
// load of other requests.
func (x *experiment) newLookups(resolver string) *probe.LookupPart {
	if x.Load.Pattern != result.DNS {
		return nil
	}
	return &probe.LookupPart{Resolver: resolver, Threads: x.Load.Threads, Reopened: x.reopened}
}

// entriesTell reports whether a request that was dropped at the insertion of its entry can
// be told by the entry that is missing. The second query of a look-up leaves from the same
// source port as the first one, and has an entry of its own where the first one was dropped.
func (x *experiment) entriesTell() bool { return x.Load.Pattern != result.DNS }
