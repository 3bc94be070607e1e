package harness

import (
	"fmt"

	"snatlab/harness/lab"
	"snatlab/harness/result"
)

// causes puts every failed request of a trial down to what explains it. What a
// client saw itself needs no more evidence. Requests that got no answer are
// put down to drops that the kernel counted, and to no more of them than it
// counted; what is left is unexplained.
func causes(t *result.Trial) map[string]int {
	found := map[string]int{result.Unexplained: t.Failures[result.Other]}
	put := func(cause string, n int) {
		if n > 0 {
			found[cause] += n
		}
	}
	put(result.CauseRefused, t.Failures[result.Refused])
	put(result.CauseReset, t.Failures[result.Reset])
	put(result.ClientPorts, t.Failures[result.EADDRNOTAVAIL]+t.Failures[result.EADDRINUSE])

	left := t.Failures[result.Timeout]
	take := func(cause string, counted uint64) {
		n := int(min(uint64(left), counted))
		left -= n
		put(cause, n)
	}
	chains := known(t.Conntrack.ChainTooLong)
	take(result.SNATRace, t.Conntrack.InsertFailed-min(chains, t.Conntrack.InsertFailed))
	take(result.ChainTooLong, chains)
	take(result.TableFull, otherDrops(t.Conntrack))
	take(result.ListenOverflow, max(known(t.Server.ListenOverflows), known(t.Server.ListenDrops)))
	found[result.Unexplained] += left
	return found
}

// otherDrops are packets that conntrack dropped other than at insertion:
// there was no room for an entry. Chains that are too long count as failed
// insertions, but not as drops.
func otherDrops(c result.Conntrack) uint64 {
	races := c.InsertFailed - min(known(c.ChainTooLong), c.InsertFailed)
	return c.Drop - min(races, c.Drop)
}

// known is 0 for a counter that the kernel does not have.
func known(counter *uint64) uint64 {
	if counter == nil {
		return 0
	}
	return *counter
}

// valid tells a trial from which nothing can be learned: nothing arrived, or
// the connections did not pass the rule that the trial is about.
func valid(t *result.Trial, rule lab.Rule) error {
	if t.Failed == t.Requests {
		return fmt.Errorf("none of %d requests succeeded: %v", t.Requests, t.Failures)
	}
	// Requests that failed in the client sent nothing. Packets that conntrack
	// dropped other than at insertion did not come as far as the rule.
	sent := t.Requests - t.Failures[result.EADDRNOTAVAIL] - t.Failures[result.EADDRINUSE] - t.Failures[result.Other]
	if t.RulePackets+otherDrops(t.Conntrack) < uint64(sent) {
		return fmt.Errorf("the rule %q matched %d of %d connections: something else translates the rest", rule.Rule(), t.RulePackets, sent)
	}
	return nil
}
