package harness

import (
	"fmt"

	"snatlab/harness/format"
	"snatlab/harness/lab"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// circumstances are the facts, apart from the trial's figures, that distinguish the
// causes.
type circumstances struct {
	ports int    // that NAT had to choose from
	max   uint64 // entries that the conntrack table holds; 0: no limit, or unknown
	// evicts is set if a connection that finds no free port gets that of a closed
	// one (Linux 6.5).
	evicts bool
}

// findCauses returns how many failed requests of a trial each cause explains. An
// error that the client saw itself needs no more evidence. Requests that got no
// answer are attributed to drops that the kernel counted, and to no more of them
// than it counted. The rest is unexplained.
func findCauses(t *result.Trial, c circumstances) map[string]int {
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
	other := foreignCounts(t)
	hits := countInsertions(t.Conntrack)
	own := saturatingSub(hits, other.InsertFailed)
	exhausted := min(own, countExhausted(t, c))
	take(result.PortExhaustion, exhausted)
	take(result.SNATRace, own-exhausted)
	take(result.ChainTooLong, counterOrZero(t.Conntrack.ChainTooLong))
	drops, foreignDrops := otherDrops(t.Conntrack), saturatingSub(other.Drop, other.InsertFailed)
	if c.max > 0 && t.Conntrack.Entries >= c.max-c.max/10 {
		take(result.TableFull, saturatingSub(drops, foreignDrops))
	}
	take(result.ListenOverflow, countOverflows(t.Server))
	take(result.TimeWait, counterOrZero(t.Server.PAWSTimewait))
	take(result.CauseForeign, min(other.InsertFailed, hits)+min(foreignDrops, drops))
	found[result.Unexplained] += left
	return found
}

// countOverflows returns the number of SYNs that the server dropped for a full queue. The last ACK
// of a handshake is dropped for the same reason, and counted with them, but its
// client has had an answer, and its reset ends the half-open connection.
func countOverflows(s result.Server) uint64 {
	return saturatingSub(max(counterOrZero(s.ListenOverflows), counterOrZero(s.ListenDrops)), counterOrZero(s.EmbryonicRsts))
}

// saturatingSub returns a - b, but not less than 0.
func saturatingSub(a, b uint64) uint64 { return a - min(a, b) }

// foreignCounts returns what other traffic may have added to the counters.
func foreignCounts(t *result.Trial) result.Foreign {
	if t.Foreign == nil {
		return result.Foreign{}
	}
	return *t.Foreign
}

// countInsertions returns the number of entries that could not be inserted because
// their tuple was taken.
func countInsertions(c result.Conntrack) uint64 {
	return saturatingSub(c.InsertFailed, counterOrZero(c.ChainTooLong))
}

// sourcePorts returns the number of source ports that an arm leaves NAT to choose
// from, for one destination.
func sourcePorts(arm scenario.Arm) int {
	if r := arm.Masquerade.ToPorts; r != (scenario.PortRange{}) {
		return int(r.Last) - int(r.First) + 1
	}
	return scenario.NATPorts * max(1, len(arm.SNAT.ToSource))
}

// countExhausted returns the number of connections, at most, that found no free
// port. These connections exceed the number of ports, and for each of them NAT
// looked at as many ports as it tries, and found them taken. It tries all ports of a
// small range, or 128, and then half as many as before as long as they are 16 or more
// (nf_nat_l4proto_unique_tuple in net/netfilter/nf_nat_core.c). It uses the last one
// although it is taken, and the entry cannot be inserted.
//
// Where closed entries are evicted, a lab's connections find a port however few
// there are, since all of them are closed at once. The failures are then pairs of
// connections that were given the same port at the same moment.
func countExhausted(t *result.Trial, c circumstances) uint64 {
	beyond := t.Requests - c.ports
	if beyond <= 0 || c.evicts {
		return 0
	}
	looks := min(c.ports, 128)
	if c.ports > 128 {
		for round := 64; round >= 8; round /= 2 {
			looks += round
		}
	}
	return min(uint64(beyond), t.Conntrack.Found/uint64(looks))
}

// evictsClosedEntries reports whether closed entries of a kernel are evicted for
// connections that find no free port. Vendors may have backported this to older
// releases. Their failures are then reported as races, which they are.
func evictsClosedEntries(release string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor)
	return n == 2 && (major > 6 || major == 6 && minor >= 5)
}

// otherDrops returns the number of packets that conntrack dropped other than at
// insertion: there was no room for an entry. Chains that are too long count as
// failed insertions, but not as drops.
func otherDrops(c result.Conntrack) uint64 {
	return saturatingSub(c.Drop, countInsertions(c))
}

// counterOrZero returns a counter, or 0 for one that the kernel does not have.
func counterOrZero(counter *uint64) uint64 {
	if counter == nil {
		return 0
	}
	return *counter
}

// checkTrial returns an error for a trial that shows nothing: no request arrived, or
// the connections did not pass the rule that the trial is about.
func checkTrial(t *result.Trial, rule lab.ArmRule) error {
	if t.Failed == t.Requests {
		return fmt.Errorf("none of %s succeeded: %v", format.Plural(t.Requests, "request", "requests"), t.Failures)
	}
	// Requests that failed in the client sent nothing. Packets that conntrack
	// dropped other than at insertion did not reach the rule. A request from a port
	// whose last connection got no answer is no new connection: its entry still
	// exists.
	sent := t.Requests - t.Failures[result.EADDRNOTAVAIL] - t.Failures[result.EADDRINUSE] - t.Failures[result.Other]
	sent = min(sent, t.SourcePorts)
	if t.RulePackets+otherDrops(t.Conntrack) < uint64(sent) {
		return &missedError{rule: rule.Rule(), matched: t.RulePackets, sent: uint64(sent)}
	}
	return nil
}

// missedError is the error of a trial whose rule did not see all connections.
type missedError struct {
	rule          string
	matched, sent uint64
}

func (e *missedError) Error() string {
	return fmt.Sprintf("the rule %q matched %d of %s", e.rule, e.matched, format.Plural(int(e.sent), "connection", "connections"))
}
